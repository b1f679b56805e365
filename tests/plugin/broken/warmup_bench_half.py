"""Objects that import and are something else than their entry points say."""

CARD = TASK = {"name": "half-a-card"}


def metric(context: object) -> object:
    """Return an object that has nothing of a metric."""
    return object()


def make(power: float = 1.0) -> object:
    """Fail as soon as a method is made."""
    return 1 / (power - power)
