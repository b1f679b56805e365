"""A model for the tests of decoding."""

import pytest
from talkers import make_talker


@pytest.fixture(params=["t5", "llama"])
def talker(request):
    """See :func:`talkers.make_talker`."""
    return make_talker(request.param)
