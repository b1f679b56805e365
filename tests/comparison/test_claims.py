import pytest

from warmup_bench.comparison.claims import assess, read_assumption, read_claims
from warmup_bench.contracts.errors import UserError

GAINS = {
    ("translation", "mT5-base"): {"BLEU": 1.57, "COMET": 1.32, "chrF++": 1.60},
    ("logic", "T5-base"): {"macro-F1": 0.84, "accuracy": 0.87},
    ("summarisation", "T5-base"): {"ROUGE-1": 0.45, "ROUGE-2": 0.32, "ROUGE-L": 0.36, "BERTScore": 0.1},
    ("decoder-only", "Llama-3.2-1B"): {"macro-F1": 2.51, "accuracy": 1.85},
}


def test_the_papers_gains_and_nothing_else():
    found: dict[tuple[str, str], dict[str, float]] = {}
    for claim in read_claims():
        found.setdefault((claim.name, claim.backbone), {})[claim.metric] = claim.gain
        assert "arXiv 2502.12304" in claim.source
    assert found == GAINS


def test_every_claim_has_its_assumptions_and_a_finding():
    for claim in read_claims():
        assumption = read_assumption(claim)
        assert assumption.seeds == 3
        finding = assess(claim, assumption, averaged=False)
        assert 0.05 <= finding.power[1] <= finding.power[0] <= 1
        assert finding.smallest[0] < finding.smallest[1]
        assert finding.power_other_seeds == (0.0, 0.0)  # three seeds can't show it
        assert finding.smallest_other_seeds == (None, None)
        six = assess(claim, read_assumption(claim, seeds=6), averaged=False)
        assert six.smallest_other_seeds[0] > six.smallest[0]
        assert (finding.verdict == "detectable") == (finding.power[1] >= 0.8)


def test_an_average_over_cells_is_seen_more_easily():
    claim = next(c for c in read_claims() if c.metric == "BLEU")
    assumption = read_assumption(claim, seeds=5)
    assert assumption.seeds == 5
    one, mean = (assess(claim, assumption, averaged=averaged) for averaged in (False, True))
    assert (one.cells, mean.cells) == (1, 8)
    assert mean.smallest[0] == pytest.approx(one.smallest[0] / 8**0.5)
    assert mean.largest_deviation == pytest.approx(one.largest_deviation * 8**0.5)


def test_logic_on_1572_questions_is_underpowered():
    claim = next(c for c in read_claims() if (c.name, c.metric) == ("logic", "accuracy"))
    finding = assess(claim, read_assumption(claim), averaged=False)
    assert finding.verdict == "underpowered"
    assert finding.smallest[0] == pytest.approx(
        2.8016 * 44.7 / 1572**0.5 + 100 / 1572, rel=1e-3
    )  # McNemar's test moves in steps of one question


def test_files_that_can_not_be_used(tmp_path):
    with pytest.raises(UserError, match="can't read"):
        read_claims(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(UserError, match="not laid out as expected"):
        read_claims(tmp_path / "list.yaml")
    (tmp_path / "odd.yaml").write_text("claims: [{claim: x}]\n")
    with pytest.raises(UserError, match="not laid out as expected: source"):
        read_claims(tmp_path / "odd.yaml")
    (tmp_path / "less.yaml").write_text(
        "seeds: 3\nclaims: {logic: {examples: 9, cells: 1, seed_sd: 1, sd: {BLEU: [1, 2]}, why: x}}\n"
    )
    with pytest.raises(UserError, match="assumes nothing for BLEU"):
        read_assumption(read_claims()[0], tmp_path / "less.yaml")
