"""How numbers are written in a report: the same in every format."""

SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SECONDS_UNITS = ((3600.0 * 24, "d"), (3600.0, "h"), (60.0, "min"))


def format_p(p: float) -> str:
    """Three decimals, or one significant digit below them; never 0."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1g}"


def at_most(p: float, floor: bool) -> str:
    """p in words; behind "≤" where no swap reached the difference, so that it could only be less."""
    return f"{'≤' if floor else ''}{format_p(p)}"


def interval(low: float | None, high: float | None, digits: int = 2, sign: str = "+") -> str:
    """Two ends, with their signs unless ``sign`` is empty; a dash where there is no interval."""
    if low is None or high is None:
        return "–"
    return f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def scientific(value: float, digits: int = 2) -> tuple[str, int]:
    """Mantissa and power of ten: (``3.21``, 12)."""
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return mantissa, int(exponent)


def flops(value: float, digits: int = 2) -> str:
    """Operations with a power of ten, e.g. 3.21·10¹²."""
    if value == 0:
        return "0"
    mantissa, exponent = scientific(value, digits)
    return f"{mantissa}·10{str(exponent).translate(SUPERSCRIPT)}"


def count(value: float) -> str:
    """A count in three digits: 812, 12.3k, 1.20M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size * 0.9995:
            return f"{_three(value / size)}{unit}"
    return f"{value:.0f}"


def counted(number: int, noun: str) -> str:
    """So many of something: "1 seed", "1,000 examples"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def memory(size: float) -> str:
    """Bytes as MB or GB (powers of ten)."""
    return f"{size / 1e9:.2f} GB" if size >= 999.5e6 else f"{size / 1e6:.0f} MB"


def seconds(value: float) -> str:
    """Seconds, or minutes, hours and days where there are many."""
    for size, unit in SECONDS_UNITS:
        if value >= 10 * size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.1f} s"


def times(value: float | None) -> str:
    """How many times the baseline's."""
    return "–" if value is None else f"{value:.2f}×"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
