"""Which input each row of a pass continues, so that what the rows of an input share stands there once."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that continue inputs, those of an input together.

    Attributes:
        of: The input of each row, [rows].
        inputs: How many inputs there are; every one of them has a row.
        each: Most rows of an input.
        row_at: The row at each place of a grid, [inputs * each]; None: row i stands at place i.
        place_of: The place of each row, [rows]; None likewise.
    """

    of: Tensor
    inputs: int
    each: int
    row_at: Tensor | None = None
    place_of: Tensor | None = None

    @classmethod
    def regular(cls, inputs: int, each: int, device: torch.device) -> "Rows":
        """As many rows for every input."""
        of = torch.arange(inputs, device=device)
        return cls(of if each == 1 else of.repeat_interleave(each), inputs, each)

    @classmethod
    def grouped(cls, of: Tensor) -> "Rows":
        """Rows of the given inputs, [rows] that never fall, from 0 on without a gap; a GPU waits for them."""
        counts = of.bincount()
        inputs, each = counts.shape[0], int(counts.max())
        if inputs * each == of.shape[0]:
            return cls(of, inputs, each)
        firsts = counts.cumsum(0) - counts
        place = of * each + torch.arange(of.shape[0], device=of.device) - firsts[of]
        row_at = firsts.repeat_interleave(each)  # a place without a row holds the input's first, unread
        row_at[place] = torch.arange(of.shape[0], device=of.device)
        return cls(of, inputs, each, row_at, place)

    @classmethod
    def picked(cls, of: Tensor) -> tuple[Tensor, "Rows"]:
        """The inputs that rows [rows] in rising order are of, and the rows as those of these alone."""
        inputs, place = torch.unique_consecutive(of, return_inverse=True)
        return inputs, cls.grouped(place)

    def apart(self, times: int) -> "Rows":
        """The rows as those of ``times`` as many inputs, copies of these; ``each`` is a multiple of it."""
        return replace(self, inputs=self.inputs * times, each=self.each // times)

    def by_input(self, x: Tensor) -> Tensor:
        """[rows, heads, t, size] as [inputs, heads, each * t, size]."""
        x = x if self.row_at is None else x.index_select(0, self.row_at)
        return x.view(self.inputs, self.each, *x.shape[1:]).transpose(1, 2).flatten(2, 3)

    def by_row(self, x: Tensor, t: int) -> Tensor:
        """[inputs, heads, each * t, size] as [rows, t, heads * size]."""
        heads, size = x.shape[1], x.shape[3]
        x = x.reshape(self.inputs, heads, self.each, t, size).permute(0, 2, 3, 1, 4)
        x = x.reshape(self.inputs * self.each, t, heads * size)
        return x if self.place_of is None else x.index_select(0, self.place_of)
