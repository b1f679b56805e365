import itertools

import numpy as np
import pytest

from harness.stats.seeds import seed_level_note, smallest_seed_level_p


@pytest.mark.parametrize("seeds", range(1, 9))
def test_smallest_p_by_enumerating_all_sign_flips(seeds):
    differences = np.arange(1.0, seeds + 1)  # all in one direction: the most extreme that there is
    flipped = [abs(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=seeds)]
    p = np.mean([value >= differences.sum() for value in flipped])
    assert smallest_seed_level_p(seeds) == pytest.approx(p, abs=1e-15)


def test_note_until_six_seeds():
    assert "one seed" in seed_level_note(1)
    assert "p = 0.25" in seed_level_note(3)
    assert "p = 0.0625" in seed_level_note(5)
    assert seed_level_note(6) is None
    assert seed_level_note(20) is None
