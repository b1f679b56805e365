"""Significance on statistics arrays: paired randomisation, intervals, correction, what seeds can show.

Pure numpy; nothing here knows a metric, which arrives as its ``aggregate`` function.
"""

from warmup_bench.comparison.correction import holm
from warmup_bench.comparison.finding import Finding, Reach, find
from warmup_bench.comparison.paired import Comparison, compare
from warmup_bench.comparison.seeds import seed_level_note

__all__ = ["Comparison", "Finding", "Reach", "compare", "find", "holm", "seed_level_note"]
