"""Inference: a greedy loop, beam search, sampled warmups, and the choice among their outputs."""

from harness.decode.infer import infer
from harness.decode.loop import Decoded, decode_all, greedy

__all__ = ["Decoded", "decode_all", "greedy", "infer"]
