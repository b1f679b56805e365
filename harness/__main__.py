"""The command line as a module: ``python -m warmup_bench``, ``torchrun … -m warmup_bench run``."""

from warmup_bench.cli import start

if __name__ == "__main__":
    start()
