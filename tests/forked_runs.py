"""A script: run the command line in forked processes, side by side or stopped by signals at seeded moments.

The heavy imports are made once, before the first fork, so that twenty runs take seconds. A moment is anything
that touches the results folder (an open, mkdir, rename, unlink, rmdir) and every pass of the model.

Reads {"argv": [...], "out": "name", ...} from stdin, runs "name-whole" untouched, and then

- with "signals": ["KILL", ...], "seed": 0: stops runs of "name-0" at moments drawn by the seed, going on with
  the same folder until one ends; then "name-1" and so on, until every signal was sent.
- with "together": 4: runs that many processes at once on "name-together".

Prints JSON: "stops": the [folder, moment] of every stop; "alone" and "together": passes of the model.
"""

import json
import os
import random
import signal
import sys
import traceback

import accelerate  # noqa: F401
import torch
import transformers.models.t5.modeling_t5  # noqa: F401

from warmup_bench.cli import main
from warmup_bench.models import families

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def start(argv, out, stop_at=0, by=None):
    """Fork a run; its process and the pipe on which it will tell its [moments, passes]."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    os.close(reading)
    told = [0, 0]

    def moment():
        told[0] += 1
        if told[0] == stop_at:
            os.kill(os.getpid(), by)

    def hook(event, arguments):
        if event in EVENTS and out in str(arguments[0]):
            moment()

    real = families.EncoderDecoder.advance

    def advance(*arguments):
        told[1] += 1
        moment()
        return real(*arguments)

    families.EncoderDecoder.advance = advance
    sys.addaudithook(hook)
    sys.argv = ["warmup-bench", *argv, "--out", out]
    log = os.open("results.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 70
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # told by the exit status
        traceback.print_exc()
    sys.stdout.flush()
    os.write(writing, json.dumps(told).encode())
    os._exit(code)


def finish(child, reading):
    """Exit status of a run, and its [moments, passes] (None where it was killed)."""
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(told) if told else None


def stop_runs(argv, name, signals, seed, moments):
    draw, stops, folder = random.Random(seed), [], 0
    for by in (signal.Signals[f"SIG{each}"] for each in signals):
        while True:
            at = draw.randint(1, moments // 4)
            code, _ = finish(*start(argv, f"{name}-{folder}", at, by))
            if code != 0:
                break
            folder += 1  # it ended before that moment
        # SIGTERM is not handled before the first step and after the last: nothing runs then.
        expected = {signal.SIGKILL: [-by], signal.SIGINT: [128 + by], signal.SIGTERM: [128 + by, -by]}[by]
        assert code in expected, f"after {stops} a run ended with {code}"
        stops.append([folder, at])
    code, _ = finish(*start(argv, f"{name}-{folder}"))
    assert code == 0, f"after {stops} the run ended with {code}"
    return stops


def everything(config):
    torch.set_num_threads(1)
    argv, name = config["argv"], config["out"]
    code, (moments, passes) = finish(*start(argv, f"{name}-whole"))
    assert code == 0, f"the untouched run ended with {code}"
    told = {"alone": passes}
    if "signals" in config:
        told["stops"] = stop_runs(argv, name, config["signals"], config["seed"], moments)
    if "together" in config:
        ended = [finish(*run) for run in [start(argv, f"{name}-together") for _ in range(config["together"])]]
        assert [code for code, _ in ended] == [0] * len(ended), ended
        told["together"] = [of_run for _, (_, of_run) in ended]
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(everything(json.load(sys.stdin))))
