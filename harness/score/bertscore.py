"""BERTScore (Zhang et al. 2020) by the ``bert-score`` package, with any encoder of the hub or of a folder.

The package's own counting and matching; the model and the tokenizer are loaded here, since the package can't
load a folder without a layer, shifts RoBERTa's scores with transformers 5, and fails on empty texts and on a
tokenizer without a finite length.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.language import known_language
from warmup_bench.contracts.learned_metric import Segment, best_of_each, mean_percent, score_all
from warmup_bench.contracts.metric import FloatArray, MetricContext
from warmup_bench.score.checkpoints import TOKENIZER, fetch, find_model, matching, short_name
from warmup_bench.score.encoder import layers_of, load_encoder
from warmup_bench.score.inputs import check_inputs
from warmup_bench.store.hashes import hash_files

FILES = ("config.json", "*.safetensors", "*.safetensors.index.json", *TOKENIZER)
INSTALL = "pip install 'warmup-bench[bertscore]'"
MATCH = "pair-v1"
"""Name of the rule of :func:`_match` in signatures and caches; raise it when its numbers change."""


@dataclass(frozen=True, slots=True)
class BERTScore:
    """Mean F1 of BERTScore in 0..100, of the best reference; an empty text scores 0.

    Attributes:
        context: Its target language chooses the encoder where ``settings.bertscore`` names none.
    """

    higher_is_better: ClassVar[bool] = True
    context: MetricContext
    learned: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Column name, with the encoder where it was chosen."""
        model = self.context.settings.bertscore.model
        return f"BERTScore ({short_name(model)})" if model else "BERTScore"

    @property
    def key(self) -> str:
        """Folder name, with the encoder where it was chosen."""
        model = self.context.settings.bertscore.model
        return f"bertscore-{short_name(model)}" if model else "bertscore"

    @property
    def model(self) -> str:
        """Hub id or folder of the encoder."""
        return self.context.settings.bertscore.model or _language_model(self.context.target_language)

    def missing(self) -> str:
        """Why it can't score here, with the command that mends it; "" when it can."""
        if _version() is None:
            return f"it is not installed; install it with {INSTALL}"
        folder = find_model(self.model)
        if folder is None or not (folder / "config.json").is_file():
            what = f"its model {self.model} is not on this machine"
            if Path(self.model).is_absolute() or self.model.startswith("."):
                return f"{what}; give a folder in the layout of save_pretrained"
            command = f"score --fetch --metrics bertscore --set score.bertscore.model={self.model}"
            return f"{what}; fetch it with: warmup-bench {command}"
        if not matching(folder, ["*.safetensors"]):
            return f"its model {self.model} has no weights in safetensors; name another encoder"
        if not matching(folder, TOKENIZER):
            return f"its model {self.model} has no tokenizer"
        layer = self.context.settings.bertscore.layer
        if layer is not None and layer > (most := layers_of(folder)):
            return f"its model {self.model} has {most} layers, not {layer}"
        if self.context.settings.bertscore.rescale and not self._baseline_file().is_file():
            return f"it has no baseline file {self._baseline_file().name}; give score.bertscore.baseline"
        return ""

    def fetch(self) -> list[str]:
        """Download the encoder and its tokenizer."""
        if _version() is None:
            raise UserError(f"BERTScore is not installed; install it with {INSTALL}", origin="--fetch")
        if find_model(self.model) is None or self.missing():
            fetch(self.model, FILES)
        return [self.model]

    @property
    def layer(self) -> int:
        """The hidden layer that is compared: the one asked for, the package's choice, or the last one."""
        options = self.context.settings.bertscore
        if options.layer is not None:
            return options.layer
        from bert_score.utils import model2layers

        known = model2layers.get(self.model)
        return int(known) if known is not None else layers_of(self._folder())

    def identity(self) -> Mapping[str, str]:
        """Hash of weights, configuration and tokenizer, layer, and the versions that score."""
        folder = self._folder()
        return {
            "hash": hash_files(folder, matching(folder, FILES)),
            "layer": str(self.layer),
            "match": MATCH,
            "bert-score": str(_version()),
            "transformers": version("transformers"),
        }

    def signature(self) -> str:
        """Encoder, layer, model hash, rescaling, rule for empty texts, versions."""
        options = self.context.settings.bertscore
        if self.missing():
            return f"model:{short_name(self.model)}|refs:max|idf:no|empty:0"
        known = self.identity()
        baseline = "no"
        if options.rescale:
            file = self._baseline_file()
            baseline = hash_files(file.parent, [file])
        return (
            f"model:{short_name(self.model)}|layer:{known['layer']}|hash:{known['hash']}|refs:max|idf:no|"
            f"match:{MATCH}|baseline:{baseline}|empty:0|version:{known['bert-score']}|transformers:{known['transformers']}"
        )

    def segments(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> list[list[Segment]]:
        """Return one segment a reference; the source is not read."""
        check_inputs(hypotheses, references)
        return [
            [Segment(hypothesis, reference=gold) for gold in golds]
            for hypothesis, golds in zip(hypotheses, references, strict=True)
        ]

    def score(self, segments: Sequence[Segment], *, device: str) -> Iterator[list[float]]:
        """Yield F1 without rescaling, a batch at a time.

        Raises:
            UserError: The encoder can't be loaded.
        """
        if reason := self.missing():
            raise UserError(f"BERTScore can't score: {reason}", origin="score.bertscore")
        import torch

        chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        model, tokenizer = load_encoder(self._folder(), self.layer)
        model.to(chosen)
        weights: dict[int | None, float] = defaultdict(lambda: 1.0)
        weights |= {tokenizer.sep_token_id: 0.0, tokenizer.cls_token_id: 0.0}
        size = self.context.settings.batch_size
        for start in range(0, len(segments), size):
            batch = segments[start : start + size]
            scores = [0.0] * len(batch)
            full = [i for i, segment in enumerate(batch) if not _is_empty(segment)]
            pairs = [(batch[i].hypothesis, str(batch[i].reference)) for i in full]
            for i, value in zip(full, _match(model, tokenizer, weights, pairs, chosen), strict=True):
                scores[i] = value
            yield scores

    def statistics(self, scores: Sequence[Sequence[float]]) -> FloatArray:
        """Return [examples, 2]: F1 of the best reference, rescaled if asked, and 1 to count the example."""
        statistics = best_of_each(scores)
        if self.context.settings.bertscore.rescale:
            floor = _baseline(self._baseline_file(), self.layer)
            # An empty text has no raw score to rescale: it stays 0.
            raw = statistics[:, 0]
            statistics[:, 0] = (raw != 0) * (raw - floor) / (1 - floor)
        return statistics

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return [examples, 2]: F1 of the best reference, and 1 to count the example."""
        return score_all(self, self.segments(hypotheses, references, sources))

    def aggregate(self, statistics: FloatArray) -> FloatArray:
        """Return 100 times the mean F1 of summed statistics [..., 2], with the shape [...]."""
        return mean_percent(statistics)

    def notes(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[str]:
        """How many examples count 0 because a text is empty."""
        pairs = zip(hypotheses, references, strict=True)
        empty = sum(not text.strip() or not any(gold.strip() for gold in golds) for text, golds in pairs)
        return [f"{empty} of {len(hypotheses)} examples have an empty text and score 0"] if empty else []

    def _folder(self) -> Path:
        folder = find_model(self.model)
        if folder is None:
            raise UserError(f"BERTScore can't score: {self.missing()}", origin="score.bertscore")
        return folder

    def _baseline_file(self) -> Path:
        given = self.context.settings.bertscore.baseline
        if given is not None:
            return given
        import bert_score

        language = known_language(self.context.target_language) or self.context.target_language
        root = Path(bert_score.__file__).parent / "rescale_baseline" / language
        return root / f"{self.model}.tsv"


def _match(
    model: Any, tokenizer: Any, weights: Mapping[Any, float], pairs: Sequence[tuple[str, str]], device: str
) -> list[float]:
    """F1 of (hypothesis, reference) pairs: all texts embedded at once, each pair matched by itself.

    In a batch, the package takes padding for a token of similarity 0, which is more than a negative one: the
    score of a pair would depend on the others.
    """
    from bert_score.utils import get_bert_embedding, greedy_cos_idf

    texts = sorted({text for pair in pairs for text in pair})
    if not texts:
        return []
    parts = get_bert_embedding(texts, model, tokenizer, weights, device=device)
    lengths = parts[1].sum(dim=1).tolist()
    row = {text: i for i, text in enumerate(texts)}
    scores = []
    for pair in pairs:
        sides = []
        for text in reversed(pair):  # the reference first; copies, since the package divides in place
            i = row[text]
            sides += [part[i : i + 1, : lengths[i]].clone() for part in parts]
        scores.append(float(greedy_cos_idf(*sides)[2]))
    return scores


def _is_empty(segment: Segment) -> bool:
    return not segment.hypothesis.strip() or not (segment.reference or "").strip()


@cache
def _version() -> str | None:
    try:
        return version("bert-score")
    except PackageNotFoundError:
        return None


def _language_model(language: str) -> str:
    """The package's choice of an encoder for a language (its table, without importing it)."""
    return {"en": "roberta-large", "zh": "bert-base-chinese", "tr": "dbmdz/bert-base-turkish-cased"}.get(
        known_language(language) or "", "bert-base-multilingual-cased"
    )


def _baseline(file: Path, layer: int) -> float:
    """F of a layer in a file of bert-score's layout, ``LAYER,P,R,F``.

    Raises:
        UserError: The file has no such row.
    """
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return next(float(row["F"]) for row in csv.DictReader(lines) if int(row["LAYER"]) == layer)
    except (StopIteration, KeyError, ValueError, OSError) as error:
        raise UserError(
            f"baseline file {file} has no row for layer {layer}",
            origin="score.bertscore.baseline",
            hint="It holds lines LAYER,P,R,F under that header.",
        ) from error
