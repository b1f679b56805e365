"""Significance on statistics arrays: paired randomisation, bootstrap, correction, what seeds can show.

Pure numpy; nothing here knows a metric, which arrives as its ``aggregate`` function.
"""

from harness.stats.correction import holm
from harness.stats.paired import Comparison, compare
from harness.stats.seeds import seed_level_note

__all__ = ["Comparison", "compare", "holm", "seed_level_note"]
