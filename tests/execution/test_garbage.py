"""What is made while nothing is collected stays, and collecting goes on afterwards as before."""

import gc
import weakref

import pytest

from warmup_bench.execution.garbage import staying


class Ring:
    def __init__(self) -> None:
        self.itself = self


def test_what_is_made_inside_stays_and_what_was_garbage_before_does_not() -> None:
    before = weakref.ref(Ring())
    frozen = gc.get_freeze_count()
    with staying():
        assert not gc.isenabled()
        assert before() is None
        inside = weakref.ref(Ring())
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen
    gc.collect()
    assert inside() is not None


def test_it_ends_as_it_began() -> None:
    with pytest.raises(ValueError, match="inside"), staying():
        raise ValueError("inside")
    assert gc.isenabled()
    gc.disable()
    try:
        with staying():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
