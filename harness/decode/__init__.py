"""Inference: a greedy loop, beam search, sampled warmups, the choice among their outputs, ranked options."""

from harness.decode.infer import infer
from harness.decode.loop import Decoded, decode_all, greedy
from harness.decode.ranking import Ranking, rank_options

__all__ = ["Decoded", "Ranking", "decode_all", "greedy", "infer", "rank_options"]
