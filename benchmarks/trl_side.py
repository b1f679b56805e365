"""TRL's side of :mod:`benchmarks.grpo`: runs in an environment with TRL, knows nothing of the harness.

    python -P trl_side.py FOLDER

FOLDER holds the model, its tokenizer and ``job.json``. The trainer waits for a line on standard input before
every step, and writes the step's seconds and drawn tokens as a line of JSON after it. ``python -P``, since a
module of this folder could else stand before one of the standard library.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


class Turns(TrainerCallback):
    """Waits for its turn before a step, and reports after it."""

    def __init__(self, answers: TextIO, device: str) -> None:
        self.answers, self.device = answers, device
        self.tokens = 0
        self.started = (0.0, 0.0)

    def say(self, **message: Any) -> None:
        """Write a line to the benchmark."""
        self.answers.write(json.dumps(message) + "\n")
        self.answers.flush()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Wait, then start the clocks."""
        sys.stdin.readline()
        self.tokens = 0
        self.started = time.perf_counter(), time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop the clocks; the optimiser's step is over."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        wall, cpu = time.perf_counter(), time.process_time()
        self.say(wall=wall - self.started[0], cpu=cpu - self.started[1], tokens=self.tokens)


def main(folder: Path) -> None:
    """Train for as many steps as the job says."""
    # What libraries print must not get between our answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    device, half = job["device"], job["dtype"] == "bfloat16"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    turns = Turns(answers, device)

    @torch.no_grad()
    def log_likelihood(
        completion_ids: list[list[int]], sources: list[list[int]], targets: list[list[int]], **_: Any
    ) -> list[float]:
        """log p(y | x, c) of every completion c, under the model that is trained."""
        turns.tokens += sum(map(len, completion_ids))
        rows = [
            [*x, *c, job["separator"], *y] for x, c, y in zip(sources, completion_ids, targets, strict=True)
        ]
        ids = torch.tensor(rows, device=model.device)  # all of one length
        length = len(targets[0])
        with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
            logits = model(input_ids=ids[:, :-1], use_cache=False, logits_to_keep=length).logits.float()
        wanted = ids[:, -length:, None]
        logp = logits.gather(2, wanted).squeeze(2) - logits.logsumexp(dim=-1)
        return logp.sum(dim=1).tolist()

    settings = GRPOConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=len(job["prompts"]) * job["samples"],
        gradient_accumulation_steps=1,
        num_generations=job["samples"],
        max_completion_length=job["cap"],
        generation_kwargs={"min_new_tokens": job["cap"]},
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        beta=0.0,
        num_iterations=1,
        gradient_checkpointing=False,
        learning_rate=job["learning_rate"],
        lr_scheduler_type="constant",
        max_grad_norm=job["max_norm"],
        max_steps=job["steps"],
        bf16=half,
        use_cpu=device == "cpu",
        dataloader_pin_memory=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    columns = {"prompt": job["prompts"], "sources": job["sources"], "targets": job["targets"]}
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=log_likelihood,
        args=settings,
        # A copy of the prompts for every step, so that no step begins an epoch.
        train_dataset=Dataset.from_dict({key: rows * job["steps"] for key, rows in columns.items()}),
        processing_class=AutoTokenizer.from_pretrained(folder),
        callbacks=[turns],
    )
    packages = ("trl", "transformers", "torch", "accelerate")
    turns.say(
        parameters=sum(p.numel() for p in model.parameters()),
        threads=torch.get_num_threads(),
        **{package: version(package) for package in packages},
    )
    trainer.train()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
