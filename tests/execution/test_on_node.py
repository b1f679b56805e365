from pathlib import Path

from plugin_files import write_plugins
from warmup_bench.execution.executors.on_node import Order, _replaced
from warmup_bench.plan.jobs import outstanding
from warmup_bench.plan.plan import make_plan
from warmup_bench.spec.spec import make_spec
from warmup_bench.store.locks import claim, token_of


def test_a_worker_learns_that_its_step_was_given_to_another(tmp_path: Path) -> None:
    files = write_plugins(tmp_path)
    content = {
        "task": files["task"],
        "backbones": [files["backbone"]],
        "seeds": 1,
        "out": str(tmp_path / "out"),
    }
    step = outstanding(make_plan(make_spec(content, "a test"))).steps[0]

    def order() -> Order:
        token = str(token_of(step.lock))
        return Order(step, token, 1, {}, Path(), None)

    with claim(step.lock) as ours:
        assert ours
        first = order()
        assert not _replaced(first)
    assert not _replaced(first)  # given back, and nobody has it
    with claim(step.lock):
        assert _replaced(first)
        assert not _replaced(order())
