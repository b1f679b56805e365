"""A script: run the command line in forked processes that send themselves a signal at the n-th moment.

A moment is anything that touches the results folder (an open, mkdir, rename, unlink, rmdir) and every pass of
the model. The heavy imports are made once, before the first fork, so that twenty runs take seconds.

Reads {"argv": [...], "out": "name", "signals": ["KILL", ...], "seed": 0} from stdin. It runs "name-whole"
untouched, then stops runs of "name-0", going on with the same folder until one ends; then "name-1" and so on,
until every signal was sent. Prints the [folder, moment] of each and the number of moments of the untouched run.
"""

import json
import os
import random
import signal
import sys

import accelerate  # noqa: F401
import torch
import transformers.models.t5.modeling_t5  # noqa: F401

from harness.backbones import base
from harness.cli import main

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def run(argv, out, stop_at, by, log):
    """Exit status of the command and the moments that it saw (None where it was killed)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        moments = 0

        def moment():
            nonlocal moments
            moments += 1
            if moments == stop_at:
                os.kill(os.getpid(), by)

        def hook(event, arguments):
            if event in EVENTS and out in str(arguments[0]):
                moment()

        real = base.EncoderDecoder.advance

        def advance(*arguments):
            moment()
            return real(*arguments)

        base.EncoderDecoder.advance = advance
        sys.addaudithook(hook)
        sys.argv = ["warmup-bench", *argv, "--out", out]
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        code = 70
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:  # told by the exit status
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        os.write(writing, str(moments).encode())
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), int(told) if told else None


def everything(config):
    torch.set_num_threads(1)
    draw = random.Random(config["seed"])
    argv, name, log = config["argv"], config["out"], config["out"] + ".log"
    code, total = run(argv, f"{name}-whole", 0, None, log)
    assert code == 0, f"the untouched run ended with {code}"
    stops, folder = [], 0
    for by in (signal.Signals[f"SIG{signal_name}"] for signal_name in config["signals"]):
        while True:
            at = draw.randint(1, max(2, total // 4))
            code, _ = run(argv, f"{name}-{folder}", at, by, log)
            if code != 0:
                break
            folder += 1  # it ended before that moment
        assert code == (-by if by == signal.SIGKILL else 128 + by), f"after {stops} a run ended with {code}"
        stops.append([folder, at])
    code, _ = run(argv, f"{name}-{folder}", 0, None, log)
    assert code == 0, f"after {stops} the run ended with {code}"
    sys.stdout.write(json.dumps({"stops": stops, "moments": total}))


if __name__ == "__main__":
    everything(json.load(sys.stdin))
