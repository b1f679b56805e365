"""Shards of a plan: disjoint, whole, balanced, the same everywhere; and the numbers of a run without them."""

import itertools
import re
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command import invoke
from plugin_files import planned, write_plugins
from same_results import assert_same
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Settings
from warmup_bench.plan.jobs import outstanding
from warmup_bench.plan.shards import (
    TOLERANCE,
    Shard,
    Weight,
    parse_shard,
    slice_of,
    split,
    start_group,
    weigh,
)
from warmup_bench.spec.cell import Cell

FILES = 5 * 3 + 4 * 6
"""5 models with log and ledger, 4 cells with predictions, ledger, 2 scores and their statistics."""
METHODS = ("sft", "warmup", "frozen", "random")


def make_cells(
    subsets: int, backbones: int, seeds: int, methods: int, matches: int, *, alike: bool = False
) -> list[Cell]:
    """The cells of a plan, in its order, as :func:`warmup_bench.plan.plan.make_plan` lays them out.

    With ``alike`` all subsets are test sets of one training.
    """
    rows = [(name, "") for name in METHODS[:methods]]
    rows += [("sft", name) for name in METHODS[1 : min(methods, 1 + matches)]]
    return [
        Cell(
            task="made",
            task_version=1,
            subset=f"part{subset}",
            scale="mini",
            backbone=f"nano{backbone}",
            method=method,
            warmup="none" if method == "sft" else "sampled",
            seed=seed,
            matched=matched,
            settings=Settings(),
            data=f"data{subset}",
            trained_as="part0" if alike else "",
            training_data="shared" if alike else "",
            code={"task": "1", "backbone": "1", "method": "1"},
        )
        for subset in range(subsets)
        for backbone in range(backbones)
        for seed in range(seeds)
        for method, matched in rows
    ]


NUMBERS = (st.integers(1, 3), st.integers(1, 2), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
PLANS = st.builds(make_cells, *NUMBERS, alike=st.booleans())
COUNTS = st.integers(1, 15)
WORK = st.lists(st.integers(1, 10**6), min_size=8, max_size=8)


def place(cell: Cell) -> tuple[str, ...]:
    return cell.subset, cell.backbone, str(cell.seed), cell.method, cell.matched


@given(cells=PLANS, count=COUNTS, work=WORK, start=st.integers(0, 10**6))
@settings(max_examples=150)
def test_shards_have_every_cell_once_and_keep_together_what_needs_each_other(
    cells: list[Cell], count: int, work: list[int], start: int
) -> None:
    drawn = {place(cell): work[i % len(work)] for i, cell in enumerate(cells)}
    parts, loads = split(cells, count, lambda cell: Weight(start, drawn[place(cell)], 1))
    assert 1 <= len(parts) == len(loads) <= count
    assert all(parts)
    assert sorted(place(cell) for part in parts for cell in part) == sorted(map(place, cells))
    order = [place(cell) for cell in cells]
    for part in parts:
        positions = [order.index(place(cell)) for cell in part]
        assert positions == sorted(positions)
        here = {place(cell) for cell in part}
        for subset, backbone, seed, _, matched in here:
            assert not matched or (subset, backbone, seed, matched, "") in here
    trained = [{(start_group(cell), cell.method, cell.matched) for cell in part} for part in parts]
    assert sum(map(len, trained)) == len(set().union(*trained))  # no training in two shards
    for part, load in zip(parts, loads, strict=True):
        starts = start * len({start_group(cell) for cell in part})
        once = {(start_group(cell), cell.method, cell.matched): drawn[place(cell)] for cell in part}
        if not part[0].trained_as:  # else cells that share a training have drawn different work here
            assert load == starts + sum(once.values()) + len(part)
    # Where bfloat16 can be had, every id is another one; the shards are not.
    bfloat16 = Settings.model_validate({"train": {"dtype": "bfloat16"}})
    others = [c.model_copy(update={"settings": bfloat16}) for c in cells]
    again, _ = split(others, count, lambda cell: Weight(start, drawn[place(cell)], 1))
    assert [[place(c) for c in part] for part in again] == [[place(c) for c in part] for part in parts]


@pytest.mark.parametrize("alike", [False, True])
def test_a_start_group_is_what_shares_a_warm_start(alike: bool) -> None:
    cells = make_cells(2, 2, 2, 3, 2, alike=alike)
    by_group, by_start = defaultdict(set), defaultdict(set)
    for cell in cells:
        by_group[start_group(cell)].add(cell.id)
        by_start[cell.warm_start_id].add(cell.id)
    assert sorted(map(sorted, by_group.values())) == sorted(map(sorted, by_start.values()))
    trainings = {(start_group(cell), cell.method, cell.matched) for cell in cells}
    assert len({cell.training_id for cell in cells}) == len(trainings) == len(cells) // (1 + alike)


def test_cells_that_share_a_training_count_it_once_and_stay_together() -> None:
    cells = make_cells(3, 1, 2, 1, 0, alike=True)  # three test sets of one training, two seeds
    parts, loads = split(cells, 6, lambda cell: Weight(5, 100, 10))
    assert [{cell.seed for cell in part} for part in parts] == [{0}, {1}]
    assert loads == [5 + 100 + 3 * 10] * 2


@given(work=st.lists(st.integers(1, 1000), min_size=1, max_size=6), count=st.integers(1, 4))
@settings(max_examples=60)
def test_the_longest_shard_is_near_the_shortest_possible(work: list[int], count: int) -> None:
    """Against every way to deal out; Graham's bound of the LPT rule, and the tolerance for whole groups."""
    cells = make_cells(1, 1, 3, 2, 0)[: len(work)]
    drawn = {place(cell): w for cell, w in zip(cells, work, strict=True)}
    parts, _ = split(cells, count, lambda cell: Weight(0, drawn[place(cell)], 0))
    longest = max(sum(drawn[place(cell)] for cell in part) for part in parts)
    best = min(
        max(sum(w for w, at in zip(work, dealt, strict=True) if at == i) for i in range(count))
        for dealt in itertools.product(range(count), repeat=len(work))
    )
    assert longest <= (4 / 3 - 1 / (3 * count)) * best / (1 - TOLERANCE) + 1e-9


def test_groups_stay_whole_where_that_is_balanced_and_are_cut_where_it_is_not() -> None:
    def seeds(count: int, of_seeds: int, start: int) -> list[list[tuple[int, str]]]:
        cells = make_cells(1, 1, of_seeds, 3, 1)  # sft 10, warmup 10, frozen 10, sft matched with warmup 10
        parts, _ = split(cells, count, lambda cell: Weight(start, 8, 2))
        return [[(c.seed, c.matched or c.method) for c in part] for part in parts]

    assert [{seed for seed, _ in part} for part in seeds(3, 6, 5)] == [{0, 3}, {1, 4}, {2, 5}]
    # Two shards for one seed: 20 + 5 for warmup with its match, and 20 + 5 for the two others, against 45.
    assert seeds(2, 1, 5) == [[(0, "warmup"), (0, "warmup")], [(0, "sft"), (0, "frozen")]]
    # 1000 + 40 against 1000 + 20 in two shards: not worth a second warm start.
    assert len(seeds(2, 1, 1000)) == 1
    # 9 shards of a seed with 3 bundles
    assert len(seeds(9, 1, 5)) == 3


def test_costs_are_counted_from_what_the_plan_declares(tmp_path: Path) -> None:
    plan = planned(tmp_path, methods=["sft", "warmup"], match=["warmup"], warm_start={"steps": 3})
    sft, warmup, matched = map(weigh(plan), plan.cells[:3])
    assert sft.training < matched.training < warmup.training  # what is written token by token counts for more
    assert sft.start * 2 == sft.training  # 3 steps and 6, the same ones
    assert sft.start == warmup.start == matched.start > 0
    assert sft.decoding == matched.decoding < warmup.decoding
    longer = planned(tmp_path, methods={"sft": {}, "warmup": {"budget": {"steps": 12}}}, match=["warmup"])
    direct, twice_as_long, given_that = map(weigh(longer), longer.cells[:3])
    assert direct.training == sft.training
    assert twice_as_long.training == pytest.approx(2 * warmup.training, abs=1)
    assert given_that.training == pytest.approx(2 * matched.training, abs=1)


def test_shards_do_not_depend_on_what_is_in_a_machines_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a shard looked for a checkpoint")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", refuse)
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", refuse)
    nano = write_plugins(tmp_path)["backbone"]
    plan = planned(tmp_path, backbones=[nano, "someone/some-model"], seeds=2)
    parts = [slice_of(plan, Shard(i + 1, 4)) for i in range(4)]
    assert sorted(c.id for part in parts for c in part.cells) == sorted(c.id for c in plan.cells)
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert max(part.share for part in parts) == parts[0].longest


def test_what_is_stored_does_not_move_a_cell(tmp_path: Path) -> None:
    plan = planned(tmp_path, seeds=3)
    before = [slice_of(plan, Shard(i, 2)) for i in (1, 2)]
    stored = plan.out / "trainings" / plan.cells[0].training_id
    stored.mkdir(parents=True)
    (stored / "DONE.json").write_text('{"schema_version": 2, "files": {}}')
    assert [slice_of(plan, Shard(i, 2)) for i in (1, 2)] == before
    assert len(outstanding(plan).of_kind("training")) == 5


def test_a_shard_is_read() -> None:
    assert parse_shard("2/3") == Shard(2, 3)
    assert str(parse_shard("1/1")) == "1/1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0/4", r"no shard 0 of 4: they are numbered from 1 to N \(from --cells\)\. The first is 1"),
        ("5/4", "no shard 5 of 4"),
        ("0/0", "no shard 0 of 0"),
        ("x", r"'x' is not a shard \(from --cells\)\. Give i/N"),
        ("1", "is not a shard"),
        ("-1/4", "is not a shard"),
        ("1/4/2", "is not a shard"),
        ("¹/4", "is not a shard"),
        ("1/1000000000000", "is not a shard"),
        ("", "is not a shard"),
    ],
)
def test_what_is_no_shard_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_shard(text)


@given(st.text(alphabet="0123456789/ -x٣", max_size=8))
def test_any_text_is_a_shard_or_a_mistake(text: str) -> None:
    try:
        shard = parse_shard(text)
    except UserError:
        return
    assert 1 <= shard.number <= shard.count


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run without shards, and its arguments."""
    at = tmp_path_factory.mktemp("shards")
    files = write_plugins(at)
    arguments = ["run", "--task", files["task"], "--backbone", files["backbone"], "--seeds", "1"]
    arguments += ["--method", "sft,warmup", "--method", files["method"], "--match", "warmup"]
    arguments += ["--workers", "1", "--limit", "train=24,validation=8,test=8"]
    for setting in ("warm_start.steps=2", "stats.randomizations=99"):
        arguments += ["--set", setting]
    done = invoke(*arguments, "--out", "whole", cwd=at)
    assert done.returncode == 0, done.stdout + done.stderr
    return at, arguments


def report(folder: str, cwd: Path) -> str:
    """The scores and their comparison, without times."""
    return invoke("report", folder, "--format", "md", cwd=cwd).stdout.split("| cost |")[0]


def test_shards_of_one_folder_store_what_a_run_stores(whole: tuple[Path, list[str]]) -> None:
    at, arguments = whole
    done = [invoke(*arguments, "--out", "shared", "--cells", f"{i}/2", cwd=at) for i in (1, 2)]
    assert [d.returncode for d in done] == [0, 0], done
    assert "Shard 1/2: 2 of 4 cells" in done[0].words
    assert "2 cells to run, 0 stored already; 1 warm starts and 2 trainings to make" in done[0].words
    assert "2 cells to run, 0 stored already; 0 warm starts and 2 trainings to make" in done[1].words
    for i in (1, 2):
        assert "Other shards need the warm start of all nano seed 0 too" in done[i - 1].words
        assert f"This was shard {i}/2 alone." in done[i - 1].words
        assert "warmup-bench report shared --format md" in done[i - 1].words
    assert assert_same(at / "whole", at / "shared") == FILES
    assert report("shared", at) == report("whole", at) != ""
    assert len(list((at / "shared" / "specs").iterdir())) == 1
    again = invoke(*arguments, "--out", "shared", "--cells", "2/2", cwd=at)
    assert "All 2 cells are stored already; nothing is trained." in again.words


def test_folders_of_shards_are_merged_by_copying(whole: tuple[Path, list[str]]) -> None:
    at, arguments = whole

    def keep_first(source: str, target: str) -> None:
        if not Path(target).exists():
            shutil.copy2(source, target)

    for i in (1, 2):
        done = invoke(*arguments, "--out", f"part{i}", "--cells", f"{i}/2", cwd=at)
        assert done.returncode == 0, done.stderr
        assert len(list((at / f"part{i}" / "warm-starts").iterdir())) == 1  # made twice, as the shards say
        ignored = shutil.ignore_patterns("locks", "checkpoints", ".*")
        options = {"copy_function": keep_first, "ignore": ignored, "dirs_exist_ok": True}
        shutil.copytree(at / f"part{i}", at / "merged", **options)
    assert assert_same(at / "whole", at / "merged") == FILES
    assert report("merged", at) == report("whole", at)
    done = invoke(*arguments, "--out", "merged", cwd=at)
    assert "All 4 cells are stored already; nothing is trained." in done.words


def test_a_shard_without_cells_says_so(whole: tuple[Path, list[str]]) -> None:
    at, arguments = whole
    done = invoke(*arguments, "--out", "empty", "--cells", "5/7", cwd=at)
    assert done.returncode == 0
    assert "Shard 5/7 is empty: the 4 cells of this plan fill 3 shards. Nothing to do." in done.words
    assert not (at / "empty").exists()


def test_the_plan_of_a_shard_is_shown_and_a_bad_one_is_refused(whole: tuple[Path, list[str]]) -> None:
    at, arguments = whole
    done = invoke(*arguments, "--out", "planned", "--cells", "2/2", "--dry-run", cwd=at)
    assert done.returncode == 0
    assert re.search(r"Shard 2/2: 2 of 4 cells, [34]\d% of the estimated work \(the longest of 2", done.words)
    assert "2 cells to run, 0 stored already; 1 warm starts and 2 trainings to make" in done.words
    assert done.stdout.count("  to run  ") == 2
    refused = invoke(*arguments, "--out", "planned", "--cells", "3/2", cwd=at)
    assert refused.returncode == 2
    assert "there is no shard 3 of 2" in " ".join(refused.stderr.split())
    assert not (at / "planned").exists()
