"""Small logs in the layouts of other harnesses, written by hand."""

import json
from pathlib import Path
from typing import Any

DATE = "2026-01-02T03-04-05.678901"


def samples(
    folder: Path,
    task: str,
    values: dict[str, list[Any]],
    *,
    date: str = DATE,
    filters: tuple[str, ...] = ("none",),
    prompt: str = "Q: {i}\nA:",
    first: int = 0,
    doc: str = "question {i}",
    higher: dict[str, bool] | None = None,
) -> Path:
    """lm-evaluation-harness: a file of ``--log_samples``, a line a document and filter."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"samples_{task}_{date}.jsonl"
    lines = []
    for name in filters:
        for i, row in enumerate(zip(*values.values(), strict=True), first):
            shown = prompt.format(i=i)
            line = {
                "doc_id": i,
                "doc": {"q": doc.format(i=i)},
                "target": str(i),
                "arguments": {"gen_args_0": {"arg_0": shown, "arg_1": {"until": ["\n"]}}},
                "resps": [[f"answer {i}"]],
                "filtered_resps": [f"answer {i}"],
                "filter": name,
                "metrics": list(values),
                "doc_hash": f"d{i}",
                "prompt_hash": str(hash(shown)),
                "target_hash": f"t{i}",
            }
            lines.append(line | dict(zip(values, row, strict=True)))
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    if higher is not None:
        content = {"results": {task: {}}, "configs": {}, "higher_is_better": {task: higher}}
        (folder / f"results_{date}.json").write_text(json.dumps(content))
    return path


def inspect_log(
    path: Path,
    scores: dict[str, list[list[Any]]],
    *,
    task: str = "geo",
    status: str = "success",
    system: str = "",
    inputs: str = "Capital of {i}?",
) -> Path:
    """inspect_ai: a log in JSON; by scorer, the values of each epoch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    epochs = len(next(iter(scores.values())))
    made = []
    for epoch in range(epochs):
        for i in range(len(next(iter(scores.values()))[epoch])):
            given = {name: of[epoch][i] for name, of in scores.items()}
            told = [{"role": "system", "content": system}] if system else []
            asked = inputs.format(i=i)
            sample: dict[str, Any] = {
                "id": f"c{i}" if i else 0,
                "epoch": epoch + 1,
                "input": asked,
                "target": f"town {i}",
                "messages": [
                    *told,
                    {"id": f"m{epoch}", "role": "user", "content": asked, "source": "input"},
                    {"role": "assistant", "content": "town", "source": "generate"},
                ],
                "output": {"model": "mockllm/model", "choices": [], "completion": f"town {i} of {epoch}"},
                "scores": {
                    name: {"value": value, "answer": "town", "history": []}
                    for name, value in given.items()
                    if value is not None
                },
                "metadata": {},
            }
            made.append(sample)
    content = {
        "version": 2,
        "status": status,
        "eval": {
            "eval_id": "e",
            "run_id": "r",
            "created": "2026-01-02T03:04:05+00:00",
            "task": task,
            "task_id": "t",
            "dataset": {"name": task, "samples": len(made) // epochs, "sample_ids": []},
            "model": "mockllm/model",
            "config": {"epochs": epochs},
        },
        "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": {}},
        "stats": {"started_at": "2026-01-02T03:04:05+00:00", "completed_at": "2026-01-02T03:04:05+00:00"},
        "samples": made[::-1],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def comet_score(path: Path, scores: dict[str, list[float]], *, references: bool = True) -> Path:
    """COMET: ``comet-score --to_json``."""
    content = {
        system: [
            {"src": f"Satz {i}", "mt": f"{system} {i}"}
            | ({"ref": f"sentence {i}"} if references else {})
            | {"COMET": score}
            for i, score in enumerate(of)
        ]
        for system, of in scores.items()
    }
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")
    return path


def comet_compare(path: Path, scores: dict[str, list[float]]) -> Path:
    """COMET: ``comet-compare --to_json``."""
    count = len(next(iter(scores.values())))
    content = {
        "model": "Unbabel/wmt22-comet-da",
        "statistical_results": [{"x_name": "a", "y_name": "b", "bootstrap_resampling": {}}],
        "source": [f"Satz {i}" for i in range(count)],
        "translations": [
            {"name": system, "mt": [f"{system} {i}" for i in range(count)], "scores": of}
            for system, of in scores.items()
        ],
        "reference": [f"sentence {i}" for i in range(count)],
    }
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")
    return path
