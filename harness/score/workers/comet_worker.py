"""Score segments with COMET. Run by an interpreter that has COMET; it needs nothing else of this project.

    python comet_worker.py --versions        prints the versions of COMET and of what it computes with
    python comet_worker.py REQUEST.json      prints one line a batch: a JSON list of scores

It stands in a folder of its own, since a script's folder leads the search path and a module there named
``comet`` would hide the package.
"""

from __future__ import annotations  # also for the older interpreters that COMET supports

import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO


def versions() -> dict[str, str | None]:
    """Versions by package, None where it is not installed."""
    installed: dict[str, str | None] = {}
    for package in ("unbabel-comet", "transformers", "torch"):
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = None
    return installed


def score(request: dict[str, Any], answer: TextIO) -> None:
    """Write the scores of ``request["segments"]`` in their order, a batch a line."""
    import torch
    from comet import load_from_checkpoint

    cuda = request["device"] != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    model = load_from_checkpoint(
        request["checkpoint"], reload_hparams=request["reload_hparams"], local_files_only=True
    )
    model.eval().to(device)
    if request["dtype"] == "float16":
        model.half()
    segments, size = request["segments"], request["batch_size"]
    with torch.inference_mode():
        for start in range(0, len(segments), size):
            batch = model.prepare_for_inference(segments[start : start + size])
            scores = model.predict_step(to_device(batch, device)).scores
            print(json.dumps(scores.float().cpu().tolist()), file=answer, flush=True)


def to_device(batch: Any, device: Any) -> Any:
    """Move a batch of any of COMET's models: tensors in mappings and lists."""
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(part, device) for part in batch)
    if hasattr(batch, "items"):
        return {key: to_device(part, device) for key, part in batch.items()}
    return batch.to(device) if hasattr(batch, "to") else batch


def main() -> None:
    """Answer on the real standard output; whatever libraries print goes to standard error."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if sys.argv[1] == "--versions":
        print(json.dumps(versions()), file=answer)
        return
    score(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), answer)


if __name__ == "__main__":
    main()
