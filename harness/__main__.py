"""The command line as a module: ``python -m harness``, ``torchrun --nproc-per-node 2 -m harness run``."""

from harness.cli import main

if __name__ == "__main__":
    main()
