"""A task that fails when it is asked which files it needs."""

from warmup_bench import ScaleCard, Splits, Subset, Task, TaskCard

TASK = Task(
    card=TaskCard(
        name="cant-say",
        version=1,
        title="Fails when asked",
        licence="CC0-1.0",
        citation="made here",
        metrics=("chrf++",),
        subsets={"en": Subset()},
        scales={"mini": ScaleCard(data="none")},
    ),
    load=lambda request: Splits([], [], []),
    missing=lambda request: [request.no_such_thing],
)
