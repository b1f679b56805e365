from pathlib import Path

from plugin_files import planned
from warmup_bench.execution.executors.on_node import Order, _replaced
from warmup_bench.plan.jobs import outstanding
from warmup_bench.store.locks import claim, token_of


def test_a_worker_learns_that_its_step_was_given_to_another(tmp_path: Path) -> None:
    step = outstanding(planned(tmp_path, seeds=1)).steps[0]

    def order() -> Order:
        return Order(step, str(token_of(step.lock)), 1, {}, Path(), None)

    with claim(step.lock) as ours:
        assert ours
        first = order()
        assert not _replaced(first)
    assert not _replaced(first)  # given back, and nobody has it
    with claim(step.lock):
        assert _replaced(first)
        assert not _replaced(order())
