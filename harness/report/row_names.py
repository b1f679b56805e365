"""What rows are called: their method, and what sets a row apart from the method's usual one."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warmup_bench.contracts.settings import Settings, shown
from warmup_bench.report.planned import Planned
from warmup_bench.spec.cell import LATER, Cell, matched_note
from warmup_bench.store.results import Result

GREEDY = "greedy"
READ_OF_GIVEN = ("max_tokens", "temperature", "direct_weight")
"""Keys of ``warmup`` that say something of a method which gives its warmups."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What needs no mention in the name of a row.

    Attributes:
        decode: How is decoded.
        warmups: How a method that has warmups gets them, by label.
        read: The values of ``warmup`` of all cells that read a key: key -> label -> values.
    """

    decode: Mapping[str, Any]
    warmups: Mapping[str, Mapping[str, Any]]
    read: Mapping[str, Mapping[str, set[Any]]]

    def name(self, label: str, settings: Settings) -> str:
        """A row's name, e.g. ``warmup · warmup.samples=8 · beam 4``."""
        usual = self.warmups.get(label, {})
        parts = [label]
        parts += _differences(settings.warmup.model_dump(include=set(usual)), usual, "warmup")
        return " · ".join(parts + _differences(_decoding(settings), self.decode, "decode"))

    def warmup_values(self) -> dict[str, dict[str, list[str]]]:
        """Keys of ``warmup`` with dots -> value -> labels of the methods that usually have it."""
        values: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for key, labels in self.read.items():
            for label in labels:
                values[f"warmup.{key}"][shown(self.warmups[label][key])].append(label)
        return values

    def warmups_to_tell(self) -> dict[str, Any]:
        """How warmups are got in rows that say nothing of it; empty where all cells agree."""
        if all(len(set().union(*labels.values())) == 1 for labels in self.read.values()):
            return {}
        plain = Settings().warmup.model_dump()
        shared = {}
        for key, labels in self.read.items():
            usual = {self.warmups[label][key] for label in labels}
            if len(usual) == 1 and not (key in LATER and usual == {plain[key]}):
                (shared[key],) = usual
        return shared


def make_usual(cells: Sequence[Cell | Planned]) -> Usual:
    """What is usual among the cells of a group."""
    direct = [_decoding(cell.settings) for cell in cells if cell.warmup == "none"]
    decode = _usual(direct or [_decoding(cell.settings) for cell in cells], _decoding(Settings()))
    if any(how[""] == GREEDY for how in direct):  # the plainest way needs no mention
        decode[""] = GREEDY
    warmups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    read: dict[str, dict[str, set[Any]]] = defaultdict(lambda: defaultdict(set))
    for cell in cells:
        if cell.warmup in ("none", None):
            continue
        settings = cell.settings.warmup.model_dump()
        warmups[cell.label].append(settings)
        for key, value in settings.items():
            if cell.warmup == "sampled" or key in READ_OF_GIVEN:
                read[key][cell.label].add(value)
    default = Settings().warmup.model_dump()
    return Usual(decode, {label: _usual(each, default) for label, each in warmups.items()}, read)


def with_versions(named: Sequence[str], results: Sequence[Result]) -> list[str]:
    """The name of each result's row where versions of a method's code are kept apart."""
    versions: dict[str, set[str]] = defaultdict(set)
    for name, result in zip(named, results, strict=True):
        versions[name].add(result.cell.code.get("method", ""))
    return [
        f"{name} [code {result.cell.code.get('method', '')[:8]}]" if len(versions[name]) > 1 else name
        for name, result in zip(named, results, strict=True)
    ]


def with_matches(named: Sequence[str], results: Sequence[Result]) -> list[str]:
    """The name of each result's row, matched ones after the row whose FLOPs or seconds they were given.

    Where that row is not there and the names do not tell matched rows apart, its settings are "not known".
    """
    rows: dict[str, str] = {}
    for name, result in zip(named, results, strict=True):
        if not result.cell.matched:  # of several ways of decoding the one with the least to say
            rows[result.cell.training_id] = min(name, rows.get(result.cell.training_id, name), key=len)
    given = [rows.get(result.cell.matched_training or "") for result in results]
    different: dict[str, set[str | None]] = defaultdict(set)
    for name, row in zip(named, given, strict=True):
        different[name].add(row)
    names = []
    for name, row, result in zip(named, given, results, strict=True):
        matched = result.cell.matched
        source = row or (f"{matched}, settings not known" if len(different[name]) > 1 else matched)
        note = matched_note(source, result.cell.matched_by)
        names.append(name.replace(result.cell.note, note) if matched else name)
    return names


def _decoding(settings: Settings) -> dict[str, Any]:
    """How is decoded: in words, and the keys that the words do not tell."""
    keys = {"batch_size", "max_tokens", "length_penalty", "temperature"}
    return {"": ", ".join(settings.decode.choices()) or GREEDY} | settings.decode.model_dump(include=keys)


def _usual(values: Iterable[Mapping[str, Any]], default: Mapping[str, Any]) -> dict[str, Any]:
    """The most frequent value of every key; where two are as frequent, the default, else the smaller one."""
    counts: dict[str, Counter[Any]] = defaultdict(Counter)
    for value in values:
        for key, entry in value.items():
            counts[key][entry] += 1
    return {
        key: min(counter, key=lambda entry: (-counter[entry], entry != default[key], str(entry)))
        for key, counter in counts.items()
    }


def _differences(settings: Mapping[str, Any], usual: Mapping[str, Any], section: str) -> list[str]:
    """What differs, as spec keys, or in words where there is no key."""
    return [
        f"{section}.{key}={shown(value)}" if key else str(value)
        for key, value in settings.items()
        if value != usual.get(key)
    ]
