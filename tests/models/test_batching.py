"""Encoding, padding and the order of training."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from warmup_bench.contracts.task import Example
from warmup_bench.models.batching import POOL, Encoded, collate, encode_examples, training_order
from warmup_bench.models.state import SpecialTokens


class Letters:
    """Encodes a letter as its place in the alphabet, past the special ids; the source gets an eos."""

    tokens = SpecialTokens(pad=0, eos=1, separator=2)

    def many_ids(self, texts, *, target=False):
        return ([ord(letter) - 94 for letter in text] for text in texts)

    def framed(self, ids, max_tokens):
        return [*ids[: max_tokens - 1], 1], len(ids) > max_tokens - 1


def test_a_target_ends_with_eos_within_its_limit_and_cut_examples_are_counted():
    examples = [
        Example("1", "abc", "ab"),  # fits
        Example("2", "abcd", "ab"),  # source cut
        Example("3", "abc", "abc"),  # target cut
        Example("4", "abcd", "abcd"),  # both cut: still one example
    ]
    encoded, cut = encode_examples(Letters(), examples, max_source=4, max_target=3)
    assert cut == 3
    assert [item.source for item in encoded] == [[3, 4, 5, 1]] * 4
    assert [item.target for item in encoded] == [[3, 4, 1]] * 4


def test_collate_pads_right_and_masks():
    batch = collate([Encoded([7, 8, 1], [5, 1]), Encoded([9], [6, 7, 8, 1])], 0, torch.device("cpu"))
    assert batch.size == 2
    assert batch.source.tolist() == [[7, 8, 1], [9, 0, 0]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.target.tolist() == [[5, 1, 0, 0], [6, 7, 8, 1]]
    assert batch.target_lengths.tolist() == [2, 4]


def test_a_source_that_holds_the_pad_id_keeps_it_in_the_mask():
    """A tokenizer without a pad token pads with eos, which stands in the sources too."""
    batch = collate([Encoded([7, 1], [1]), Encoded([8], [1])], 1, torch.device("cpu"))
    assert batch.mask.tolist() == [[1, 1], [1, 0]]


def items_of(lengths):
    return [Encoded([3] * length, [1]) for length in lengths]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(1, 7), st.integers(0, 5))
def test_an_epoch_meets_every_example_at_most_once_and_leaves_less_than_a_batch(lengths, size, seed):
    order = training_order(items_of(lengths), size, seed)
    size = min(size, len(lengths))
    epoch = list(itertools.islice(order, len(lengths) // size))
    assert all(len(batch) == size for batch in epoch)
    met = [index for batch in epoch for index in batch]
    assert len(set(met)) == len(met) == len(lengths) - len(lengths) % size


def test_the_longest_example_of_a_small_set_is_trained_on():
    """Batches are of like length, and what is left over must not always be the longest."""
    order = training_order(items_of(range(1, 12)), 4, seed=0)  # 3 of 11 are left out of an epoch
    met = [set(itertools.chain(*itertools.islice(order, 2))) for _ in range(200)]
    share = sum(10 in epoch for epoch in met) / 200
    assert share == pytest.approx(8 / 11, abs=0.1)


def test_order_is_a_function_of_the_seed_and_changes_between_epochs():
    items = items_of([1] * 40)
    take = lambda seed: list(itertools.islice(training_order(items, 4, seed), 20))  # noqa: E731
    assert take(3) == take(3)
    assert take(3) != take(4)
    assert take(3)[:10] != take(3)[10:]


def test_examples_of_like_length_share_a_batch():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 50, (4 * POOL,), generator=generator).tolist()
    batches = list(itertools.islice(training_order(items_of(lengths), 4, seed=0), POOL))
    spread = max(max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches)
    assert spread < 20  # of a range of 49; the whole set is one pool
    ranked = sorted(lengths)
    assert sorted(sorted(lengths[i] for i in b) for b in batches) == sorted(
        ranked[i : i + 4] for i in range(0, len(ranked), 4)
    )
