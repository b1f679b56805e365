"""A campaign against the harness, bounded by a time: ``make torture MINUTES=60``; or one trial again.

Kills at drawn moments, one flipped bit of one stored file, plugins that do what none should, several
processes at once on one folder, a disk that fills. Each trial is a function of its seed alone (but for the
timing of processes). It has survived where the folder ends as an untouched run leaves it, or where what can't
be used was named:

lost        numbers or files that should be there are not, or others were touched
silent      exit code 0 with other numbers, or a failure without a name
traceback   a crash of ours in the output
hung        no end within the limit

torch is imported once; every command runs in a fork.

    python tests/torture/torture.py --minutes 60 --seed 1
    python tests/torture/torture.py --replay kills:123456
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "src")]
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "250", "NO_COLOR": "1"}

import accelerate  # noqa: E402, F401
import torch  # noqa: E402
import transformers.models.t5.modeling_t5  # noqa: E402, F401

from plugin_files import write_plugins  # noqa: E402
from same_results import assert_same  # noqa: E402
from warmup_bench.cli import guard, main  # noqa: E402
from warmup_bench.models import families  # noqa: E402

LIMIT = 240.0
"""Seconds that one command may take; alone it takes about three."""
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
OUTCOMES = ("survived", "lost", "silent", "traceback", "hung")
FULL_DISK = ("no space", "not writable", "can't write", "Disk quota", "File too large", "needs about")


class NotSurvivedError(Exception):
    """A trial that was not survived: which of :data:`OUTCOMES`, and what was seen."""

    def __init__(self, outcome: str, what: str) -> None:
        super().__init__(what)
        self.outcome = outcome


class Ground:
    """Where trials are made: plugins, and what an untouched run leaves."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.files = write_plugins(place)
        self.whole = place / "whole"
        self.argv = [
            *("run", "--task", self.files["task"], "--backbone", self.files["backbone"], "--seeds", "1"),
            *("--method", "sft,warmup:sampler=replay", "--workers", "1"),
            *("--limit", "train=16,validation=4,test=6", "--set", "stats.resamples=99"),
            *("--set", "train.checkpoint_every=1", "--set", "train.eval_every=2", "--set", "budget.steps=3"),
            *("--set", "train.dropout=0.1", "--set", "warm_start.steps=2", "--set", "warmup.format_share=0"),
        ]
        code, self.moments, said = self.run(self.whole)
        if code != 0:
            raise SystemExit(f"the untouched run ended with {code}:\n{said}")
        self.report = self.command(["report", str(self.whole), "--format", "json"])[1]

    def run(self, out: Path, **how: object) -> tuple[int, int, str]:
        """Run the spec; exit code, moments until then, output."""
        log = self.place / f"{out.name}.log"
        code = wait(launch([*self.argv, "--out", str(out)], log, out=str(out), **how))  # type: ignore[arg-type]
        said = log.read_text(errors="replace")
        counted = log.with_suffix(".moments")
        moments = int(counted.read_text() or 0) if counted.exists() else 0
        return code, moments, said

    def command(self, argv: list[str], **how: object) -> tuple[int, str]:
        """Any command: exit code and output."""
        log = self.place / f"command-{zlib.crc32(' '.join(argv).encode()):08x}.log"
        code = wait(launch(argv, log, **how))  # type: ignore[arg-type]
        return code, log.read_text(errors="replace")


def launch(
    argv: list[str],
    log: Path,
    *,
    out: str = "",
    stop_at: int = 0,
    by: int = signal.SIGKILL,
    watched: bool = False,
    before: Callable[[], None] = lambda: None,
) -> int:
    """Fork a command, in a session of its own; ``stop_at`` moments that touch ``out`` it gets a signal."""
    sys.stdout.flush()
    log.with_suffix(".moments").unlink(missing_ok=True)
    child = os.fork()
    if child:
        return child
    code, count = 70, 0
    try:
        os.setsid()
        to = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(to, 1)
        os.dup2(to, 2)
        before()

        def moment() -> None:
            nonlocal count
            count += 1
            if count == stop_at:
                os.kill(os.getpid(), by)

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if out and event in EVENTS and out in str(arguments[0]):
                moment()

        real = families.EncoderDecoder.advance

        def advance(*arguments: object) -> object:
            moment()
            return real(*arguments)  # type: ignore[arg-type]

        if out:
            families.EncoderDecoder.advance = advance  # type: ignore[assignment, method-assign]
            sys.addaudithook(hook)
        sys.argv = ["warmup-bench", *argv]
        if watched:
            guard.on()
        main()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # told by the log
        traceback.print_exc()
    try:
        log.with_suffix(".moments").write_text(str(count))
        sys.stdout.flush()
    finally:  # whatever was done to its streams: a child that came back would go on as a second campaign
        os._exit(code)


def wait(child: int) -> int:
    """The exit status of a fork.

    Raises:
        NotSurvivedError: It did not end.
    """
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise NotSurvivedError("hung", f"no end within {LIMIT:.0f} seconds")


def no_crash(said: str) -> None:
    if "Traceback (most recent call last)" in said:
        raise NotSurvivedError("traceback", said[-3000:])


def ends_well(ground: Ground, out: Path) -> None:
    """An untouched try ends with all that an untouched run leaves."""
    code, _, said = ground.run(out)
    no_crash(said)
    if code != 0:
        raise NotSurvivedError("lost", f"the last run ended with {code}: {said[-2000:]}")
    try:
        assert_same(ground.whole, out)
    except AssertionError as error:
        raise NotSurvivedError("lost", f"other files than an untouched run's: {str(error)[:1500]}") from error


def kills(ground: Ground, out: Path, draw: random.Random) -> int:
    """Stop runs in one folder at drawn moments, and see it end; returns how often one was stopped."""
    stops = 0
    for _ in range(draw.randint(3, 8)):
        by = draw.choices((signal.SIGKILL, signal.SIGTERM, signal.SIGINT), (6, 1, 1))[0]
        code, _, said = ground.run(out, stop_at=draw.randint(1, ground.moments // 3), by=by)
        if code == 0:
            break
        if code not in (-by, 128 + by):
            raise NotSurvivedError(
                "lost", f"{signal.Signals(by).name} ended a run with {code}: {said[-2000:]}"
            )
        no_crash(said)
        stops += 1
    ends_well(ground, out)
    return max(1, stops)


def corruptions(ground: Ground, out: Path, draw: random.Random) -> int:
    """Flip one bit of one stored file: it is named, or it changes no number."""
    shutil.copytree(ground.whole, out)
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.stat().st_size)
    victim = draw.choice(files)
    content = bytearray(victim.read_bytes())
    place = draw.randrange(len(content))
    content[place] ^= 1 << draw.randrange(8)
    victim.write_bytes(bytes(content))
    others = {path: path.read_bytes() for path in files if path != victim}
    what = f"{victim.relative_to(out)}, byte {place}"
    code, said = ground.command(["report", str(out), "--format", "json"])
    no_crash(said)
    named = victim.name in said or str(victim.parent) in said
    if said != ground.report and not (code in (1, 2) and named):
        raise NotSurvivedError(
            "silent", f"{what}: report ended with {code}, and another text: {said[-1500:]}"
        )
    code, _, said = ground.run(out)
    no_crash(said)
    if code not in (0, 1, 2) or (code and not (victim.name in said or str(victim.parent) in said)):
        raise NotSurvivedError("silent", f"{what}: run ended with {code}: {said[-1500:]}")
    remade = ("token-ids", "specs")  # made anew, whole, where they are not what they were
    for path, before in others.items():
        if path.relative_to(out).parts[0] not in remade and (
            not path.exists() or path.read_bytes() != before
        ):
            raise NotSurvivedError("lost", f"{what}: {path.relative_to(out)} was touched")
    healed = (ground.whole / victim.relative_to(out)).read_bytes()  # a score of its predictions is made again
    if victim.relative_to(out).parts[0] not in remade and victim.read_bytes() not in (bytes(content), healed):
        raise NotSurvivedError("lost", f"{what}: the damaged file was touched")
    return 1


ACTS = (
    *("os._exit(0)", "os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)", "os.abort()"),
    *(
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "sys.exit(0)",
        "raise KeyboardInterrupt",
        "raise BaseException",
    ),
    *("raise asyncio.CancelledError", "raise GeneratorExit", "raise Wordless", "raise MemoryError", "1 / 0"),
    *("raise TrainingError('x', diagnostics={'t': torch.zeros(2), 'f': print})", "raise RecursionError"),
    *("sys.stdout.close(); raise ValueError('mute')", "os.chdir('/'); raise ValueError('left')"),
    *("os.close(1); os.close(2); raise ValueError('closed')", "os.environ.clear(); raise ValueError('bare')"),
    *("return None", "return 7", "return 'text'", "return float('nan')", "return [None]", "return object()"),
    *(
        "return torch.zeros(3)",
        "return np.full((2, 1), np.nan)",
        "return np.zeros((0, 0))",
        "return (x for x in ())",
    ),
)
HEAD = """
import asyncio, os, signal, sys
import numpy as np
import torch
from warmup_bench import Method, Splits
from warmup_bench.contracts.errors import TrainingError
from warmup_bench.contracts.method import Coefficients, likelihood

class Wordless(Exception):
    def __str__(self):
        raise RuntimeError

def act(*_):
    {act}

"""
METHODS = {
    "coefficients": "METHOD = Method('hostile', '', 'x', 'sampled', act)\n",
    "a late step": "calls = []\n"
    "def late(r):\n    calls.append(0)\n    return act() if len(calls) > 3 else likelihood(r)\n"
    "METHOD = Method('hostile', '', 'x', 'sampled', late)\n",
    "coefficient a": "METHOD = Method('hostile', '', 'x', 'sampled', lambda r: Coefficients(act(), r.ly))\n",
    "give": "METHOD = Method('hostile', '', 'x', 'given', likelihood, act)\n",
}
METRIC = """
class Hostile:
    name, higher_is_better = "Hostile", True
    def segment_statistics(self, hypotheses, references, sources):
        return {statistics}
    def aggregate(self, statistics):
        return {aggregate}
    def signature(self):
        return {signature}

def METRIC(context):
    return Hostile()
"""
FINE = {
    "statistics": "np.ones((len(hypotheses), 1))",
    "aggregate": "statistics[..., 0]",
    "signature": "'v:1'",
}


def hostile(ground: Ground, out: Path, draw: random.Random) -> int:
    """A method, a metric or a task that does what none should: it fails by name, alone."""
    action, where = draw.choice(ACTS), draw.choice((*METHODS, *FINE, "load"))
    path = ground.place / f"{out.name}.py"
    text = HEAD.format(act=action)
    argv = [*ground.argv, "--out", str(out)]
    if where in METHODS:
        path.write_text(text + METHODS[where])
        argv[argv.index("--method") + 1] += f",{path}"
    elif where in FINE:
        path.write_text(text + METRIC.format(**FINE | {where: "act()"}))
        task = ground.place / f"{out.name}_task.py"
        task.write_text(
            Path(ground.files["task"])
            .read_text()
            .replace('("chrf++", "bleu")', f'("chrf++", "bleu", {str(path)!r})')
        )
        argv[argv.index("--task") + 1] = str(task)
    else:
        path.write_text(text + Path(ground.files["task"]).read_text().replace("load=load", "load=act"))
        argv[argv.index("--task") + 1] = str(path)
    code, said = ground.command(argv, watched=True)
    seen = f"{where}: {action}: ended with {code}: {said[-1500:]}"
    no_crash(said)
    if code not in (1, 2):
        raise NotSurvivedError("silent", seen)
    if not any(
        word in said.lower() for word in ("hostile", path.stem, "backwards", "process ended", "was killed")
    ):
        raise NotSurvivedError("silent", f"no name in {seen}")
    if where in METHODS:
        cells = {p.parent.parent.name for p in out.glob("cells/*/decode/DONE.json")}
        wanted = {p.name for p in (ground.whole / "cells").iterdir()}
        if not wanted <= cells:
            raise NotSurvivedError("lost", f"other cells are missing: {seen}")
        if len(list(out.glob("cells/*hostile*/failed.json"))) != 1:
            raise NotSurvivedError("silent", f"no failed.json: {seen}")
    return 1


def together(ground: Ground, out: Path, draw: random.Random) -> int:
    """Several processes start at once on one folder; one of them may be killed."""
    count = draw.randint(2, 4)
    victim = draw.randrange(count) if draw.random() < 0.4 else None
    children = []
    for number in range(count):
        how = {"stop_at": draw.randint(1, ground.moments // 2)} if number == victim else {}
        log = ground.place / f"{out.name}-{number}.log"
        children.append(launch([*ground.argv, "--out", str(out)], log, out=str(out), **how))  # type: ignore[arg-type]
        time.sleep(draw.choice((0.0, 0.0, 0.05, 0.5)))
    codes = [wait(child) for child in children]
    for number, code in enumerate(codes):
        said = (ground.place / f"{out.name}-{number}.log").read_text(errors="replace")
        no_crash(said)
        if code != 0 and not (number == victim and code == -signal.SIGKILL):
            raise NotSurvivedError("lost", f"process {number} of {count} ended with {code}: {said[-2000:]}")
    ends_well(ground, out)
    return 1


def full_disks(ground: Ground, out: Path, draw: random.Random) -> int:
    """The disk of the results fills at a drawn moment; with room again, the same command ends well."""
    out.mkdir()
    needed = sum(path.stat().st_size for path in ground.whole.rglob("*") if path.is_file())
    size = draw.randint(needed // 20, needed) // 4096 * 4096
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "torture", str(out)], capture_output=True, check=False
    )
    try:
        if mounted.returncode == 0:
            code, _, said = ground.run(out, before=_promise_room)
            subprocess.run(["mount", "-o", "remount,size=1g", str(out)], check=True)
        else:  # not allowed here: no file may grow beyond a size
            code, _, said = ground.run(out, before=lambda: _no_file_beyond(max(4096, size // 8)))
        no_crash(said)
        if code not in (0, 1, 2) or (code and not any(word in said for word in FULL_DISK)):
            raise NotSurvivedError("silent", f"{size} bytes: ended with {code}: {said[-1500:]}")
        ends_well(ground, out)
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(out)], check=False)
    return 1


def _promise_room() -> None:
    """Let the check before the first step find room, so that the disk fills later."""
    usage = shutil.disk_usage
    shutil.disk_usage = lambda path: usage(path)._replace(free=10**12)  # type: ignore[assignment]


def _no_file_beyond(size: int) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


KINDS: dict[str, tuple[Callable[[Ground, Path, random.Random], int], int]] = {
    "kills": (kills, 1000),
    "corruptions": (corruptions, 1000),
    "hostile": (hostile, 200),
    "together": (together, 100),
    "full_disks": (full_disks, 50),
}


def trial(ground: Ground, kind: str, seed: int, *, keep: bool) -> tuple[str, int, str]:
    """One trial: its outcome, what it counts for, and what was seen where it was not survived."""
    out = ground.place / f"{kind}-{seed}"
    try:
        count = KINDS[kind][0](ground, out, random.Random(seed))
    except NotSurvivedError as bad:
        return bad.outcome, 1, str(bad)
    except Exception:
        return "traceback", 1, f"of the campaign itself: {traceback.format_exc()}"
    finally:
        if not keep:
            shutil.rmtree(out, ignore_errors=True)
            for path in ground.place.glob(f"{out.name}*"):
                path.unlink(missing_ok=True) if path.is_file() else None
    return "survived", count, ""


def campaign(minutes: float, seed: int, only: list[str], trials: int | None, place: Path) -> bool:
    """Trials in turn, until the time or their numbers are up; whether all were survived."""
    ground, began = Ground(place), time.monotonic()
    done: Counter[str] = Counter()
    told: dict[str, Counter[str]] = {kind: Counter() for kind in only}
    number = 0
    while time.monotonic() - began < 60 * minutes:
        left = [kind for kind in only if done[kind] < (trials or KINDS[kind][1])]
        if not left:
            break
        kind = min(left, key=lambda kind: done[kind] / (trials or KINDS[kind][1]))
        own = zlib.crc32(f"{seed}/{number}".encode())
        outcome, count, what = trial(ground, kind, own, keep=False)
        number, done[kind], told[kind][outcome] = number + 1, done[kind] + count, told[kind][outcome] + count
        if outcome != "survived":
            _say(f"{outcome}: --replay {kind}:{own}\n{what}\n")
    _say(f"seed {seed}, {(time.monotonic() - began) / 60:.0f} minutes\n")
    _say("| attack | trials | " + " | ".join(OUTCOMES) + " |\n|:--|" + "--:|" * (1 + len(OUTCOMES)))
    for kind in only:
        _say(
            f"| {kind} | {done[kind]} | "
            + " | ".join(str(told[kind][outcome]) for outcome in OUTCOMES)
            + " |"
        )
    return all(set(outcomes) <= {"survived"} for outcomes in told.values())


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def command_line() -> int:
    """0 where every trial was survived."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--trials", type=int, help="of each kind, in place of the usual numbers")
    parser.add_argument("--replay", metavar="KIND:SEED", help="one trial again; its folder stays")
    parser.add_argument("--place", type=Path, help="folder to work in; default: a new one below the usual")
    options = parser.parse_args()
    torch.set_num_threads(1)
    place = options.place or Path(tempfile.mkdtemp(prefix="torture-"))
    place.mkdir(parents=True, exist_ok=True)
    os.environ["WARMUP_BENCH_CACHE"] = str(place / "cache")
    os.chdir(place)
    if options.replay:
        kind, _, seed = options.replay.partition(":")
        outcome, _, what = trial(Ground(place), kind, int(seed), keep=True)
        _say(json.dumps({"outcome": outcome, "folder": str(place)}) + f"\n{what}")
        return int(outcome != "survived")
    try:
        fine = campaign(options.minutes, options.seed, options.only.split(","), options.trials, place)
    finally:
        if options.place is None:
            shutil.rmtree(place, ignore_errors=True)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(command_line())
