"""Are the same examples made again? Asked of another process, whose sets and dicts are hashed otherwise."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from warmup_bench.check.finding import CheckResult
from warmup_bench.check.subject import Subject
from warmup_bench.contracts.settings import Limit
from warmup_bench.contracts.task import LoadRequest
from warmup_bench.data.registry import tasks
from warmup_bench.store.examples import limited


def check_repeatable(subject: Subject) -> Iterator[CheckResult]:
    """Finding ``repeatable``: a second process with another hash seed gives the same fingerprint."""
    request = subject.request
    arguments = {
        "reference": subject.reference,
        "subset": request.subset,
        "scale": request.scale,
        "data_dir": str(request.data_dir) if request.data_dir else None,
        "offline": request.offline,
        "limit": subject.settings.limit.model_dump(),
    }
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "warmup_bench.check.repeat", json.dumps(arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    advice = "Draw from random.Random(seed), sort what comes from a set, and read no clock."
    if done.returncode:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        yield CheckResult("repeatable", "failed", f"a second process could not load it: {reason}", advice)
    elif (other := done.stdout.split()[-1]) != (here := subject.splits.fingerprint()):
        yield CheckResult(
            "repeatable", "failed", f"a second process made other examples: {other}, not {here}", advice
        )
    else:
        yield CheckResult("repeatable", "ok", "a second process made the same examples")


def main() -> None:
    """Print the fingerprint of what is asked for as JSON in the first argument."""
    arguments = json.loads(sys.argv[1])
    folder = Path(arguments["data_dir"]) if arguments["data_dir"] else None
    request = LoadRequest(arguments["subset"], arguments["scale"], folder, arguments["offline"])
    splits = tasks().load(arguments["reference"]).value.load(request)
    used = limited(splits, Limit(**arguments["limit"]))
    sys.stdout.write(f"\n{used.fingerprint()}\n")


if __name__ == "__main__":
    main()
