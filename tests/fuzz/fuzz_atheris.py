"""Fuzz one target, guided by coverage: ``python tests/fuzz/fuzz_atheris.py TARGET [SECONDS]``.

What follows are options of libFuzzer. Needs atheris.
New inputs are kept in a folder that is removed at the end; an input that fails is printed.
"""

import sys
import tempfile
from pathlib import Path


def main() -> None:
    import atheris

    name = sys.argv[1]
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    with atheris.instrument_imports(include=["warmup_bench", "yaml"]):
        import fuzz_targets

    corpus = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for number, seed in enumerate(fuzz_targets.SEEDS[name]):
        (corpus / f"seed{number}").write_bytes(seed)

    def one(data: bytes) -> None:
        fuzz_targets.run(name, data)

    options = [
        f"-max_total_time={seconds}",
        "-max_len=2000",
        "-print_final_stats=1",
        "-verbosity=0",
        "-rss_limit_mb=4000",
    ]
    atheris.Setup([sys.argv[0], *options, *sys.argv[3:], str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
