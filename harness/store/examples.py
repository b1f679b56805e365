"""The examples of a run on disk, so that every stage and process reads the same ones."""

from pathlib import Path

from warmup_bench.contracts.settings import Limit
from warmup_bench.contracts.task import SPLITS, Example, Splits
from warmup_bench.store.folders import read_table, write_table


def limited(splits: Splits, limit: Limit) -> Splits:
    """The first examples of each split, as many as the limits allow."""
    return Splits(*(getattr(splits, name)[: getattr(limit, name)] for name in SPLITS), notes=splits.notes)


def write_examples(folder: Path, splits: Splits) -> None:
    """One parquet file a split."""
    for name in SPLITS:
        split = getattr(splits, name)
        columns = {
            "id": [ex.id for ex in split],
            "source": [ex.source for ex in split],
            "target": [ex.target for ex in split],
            "references": [list(ex.golds) for ex in split],
            "group": [ex.group for ex in split],
            "options": [list(ex.options) for ex in split],
        }
        write_table(folder / f"{name}.parquet", columns)


def read_split(folder: Path, name: str) -> list[Example]:
    """The examples of one split, in order.

    Raises:
        CorruptError: The file can't be read.
    """
    rows = read_table(folder / f"{name}.parquet").to_pylist()
    return [
        Example(
            row["id"],
            row["source"],
            row["target"],
            tuple(row["references"]),
            row["group"],
            tuple(row.get("options") or ()),
        )
        for row in rows
    ]
