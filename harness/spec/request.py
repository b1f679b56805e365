"""A request as a user makes it: a spec file, ``--set`` and options, merged into one spec."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Stats
from warmup_bench.data.registry import is_declared
from warmup_bench.spec.spec import RunSpec, make_spec, merge, overruled, parse_assignment, read_spec


def collect_spec(options: Mapping[str, Any], spec_file: Path | None, assignments: Sequence[str]) -> RunSpec:
    """Merge spec file, ``--set`` and options (the later wins) into a validated spec.

    Raises:
        UserError: An unknown key, a bad value, or no task.
    """
    from_file = {} if spec_file is None else read_spec(spec_file)
    parsed = [parse_assignment(text) for text in assignments]
    assigned = merge(*parsed)
    given = {key: _option(key, value) for key, value in options.items() if value not in (None, [])}
    layers = [overruled(from_file, merge(assigned, given)), *(overruled(layer, given) for layer in parsed)]
    content = merge(_without_rows(merge(*layers), given.get("methods")), given)
    sources = {str(spec_file): from_file, "--set": assigned, "the command line": given}
    origins = [name for name, layer in sources.items() if layer]
    if "task" not in content:
        raise UserError("no task was named", origin="--task", hint="Try 'warmup-bench list tasks'.")
    if is_declared(str(content["task"])):
        from warmup_bench.data.declared import pinned

        content["task"] = pinned(str(content["task"]), offline=bool(content.get("offline")))
    return make_spec(content, " and ".join(origins))


def _without_rows(content: dict[str, Any], chosen: Sequence[str] | None) -> dict[str, Any]:
    """A spec without the rows of methods that it names and that the command line does not choose."""
    if chosen is None:
        return content
    named = content.get("methods", RunSpec.model_fields["methods"].default)
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, Mapping | list):
        return content
    left = {str(name) for name in named} - set(chosen)
    stats, match, ways = (content.get(key) for key in ("stats", "match", "decodings"))
    base = stats.get("baseline") if isinstance(stats, Mapping) else None
    kept = dict(content)
    if isinstance(match, list):
        lacks_base = str(base or Stats().baseline) in left
        kept["match"] = [] if lacks_base else [name for name in match if str(name) not in left]
    if isinstance(ways, Mapping):
        kept["decodings"] = {name: sections for name, sections in ways.items() if str(name) not in left}
    return kept


def _option(key: str, value: Any) -> Any:
    """The spec's form of an option."""
    if key in ("subsets", "methods", "match", "backbones"):
        return [name for item in value for name in item.split(",") if name]
    if key == "seeds":
        try:
            numbers = [int(part) for part in value.split(",") if part.strip() or "," not in value]
        except ValueError as error:
            raise UserError(f"'{value}' are not seeds", origin="--seeds", hint="Give 3, or 0,1,7.") from error
        return numbers if "," in value else numbers[0]
    if key in ("budget", "limit"):
        if key == "limit" and value.isdecimal() and len(value) < 20:
            return {"test": int(value)}
        return merge(*(parse_assignment(part) for part in value.split(",")))
    return value
