"""What learned metrics have scored in a results folder, by segment: nothing is scored twice.

``cache/<metric>-<hash>/`` belongs to one model in one state (its hash, layer, precision, library versions);
each part in it is a whole folder of its own, so that an interrupted scoring loses one part at most and
processes that score at the same time do not meet.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from warmup_bench.contracts.learned_metric import LearnedMetric, Segment
from warmup_bench.contracts.names import file_name
from warmup_bench.spec.cell import content_hash
from warmup_bench.store.folders import check, is_done, read_table, write_json, write_table, writing


def cache_folder(out: Path, metric: LearnedMetric) -> Path:
    """The folder of what a metric's model has scored in the results folder ``out``."""
    return out / "cache" / f"{file_name(metric.key, 'metric')}-{content_hash(metric.identity())}"


def digest(segment: Segment) -> str:
    """SHA-256 of what the model reads of a segment."""
    texts = [segment.source, segment.hypothesis, segment.reference]
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def read_cache(folder: Path) -> dict[str, float]:
    """All known scores by digest.

    Raises:
        CorruptError: A part is damaged.
    """
    known: dict[str, float] = {}
    for part in sorted(folder.glob("[0-9a-f]*")) if folder.is_dir() else []:
        if is_done(part):
            table = read_table(check(part) / "scores.parquet")
            known.update(zip(table["digest"].to_pylist(), table["score"].to_pylist(), strict=True))
    return known


def write_part(
    folder: Path, identity: Mapping[str, str], digests: Sequence[str], scores: Sequence[float]
) -> None:
    """Add scores as one part, named by what it holds.

    Raises:
        UserError: The place can't be written.
    """
    name = hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
    with writing(folder / name, depth=3) as temporary:
        write_table(temporary / "scores.parquet", {"digest": list(digests), "score": list(scores)})
        write_json(temporary / "identity.json", dict(identity))
