"""Inference: a greedy loop, beam search, sampled warmups, the choice among their outputs, ranked options."""

from warmup_bench.decode.infer import infer
from warmup_bench.decode.loop import Decoded, decode_all, greedy
from warmup_bench.decode.ranking import Ranking, rank_options

__all__ = ["Decoded", "Ranking", "decode_all", "greedy", "infer", "rank_options"]
