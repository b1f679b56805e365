"""Make tiny COMET models in COMET's own layout and score a file with COMET's own command.

    python comet_models.py FOLDER

Run by an interpreter that has COMET: the tests themselves may run in another environment. Under FOLDER come
``regression`` and ``referenceless``, each with hparams.yaml, checkpoints/model.ckpt and its encoder's
configuration and tokenizer; and the scores of source.txt, hypothesis.txt and reference.txt by the command.
The second one's checkpoint is then given an object that is not a weight.
"""

import json
import sys
from pathlib import Path, PurePosixPath

import torch
import yaml
from comet.cli.score import score_command
from comet.models import ReferencelessRegression, RegressionMetric
from pytorch_lightning import Trainer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import XLMRobertaConfig, XLMRobertaTokenizerFast

CLASSES = {"regression": RegressionMetric, "referenceless": ReferencelessRegression}


def make_encoder(folder, words):
    """Configuration and tokenizer as XLM-R's; COMET keeps the weights in its own checkpoint."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(f"▁{word}" for word in words), "▁", "<mask>"]
    text = Tokenizer(models.Unigram([(piece, -1.0 - i / 100) for i, piece in enumerate(pieces)], unk_id=3))
    text.pre_tokenizer = pre_tokenizers.Metaspace()
    text.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    XLMRobertaTokenizerFast(tokenizer_object=text, model_max_length=64).save_pretrained(folder)
    XLMRobertaConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=66,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    ).save_pretrained(folder)


def make_model(folder, kind, encoder):
    """Random weights, saved by Lightning as COMET's training saves them."""
    torch.manual_seed(3)
    model = CLASSES[kind](pretrained_model=str(encoder), load_pretrained_weights=False, hidden_sizes=[8])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(model)
    (folder / "checkpoints").mkdir(parents=True)
    trainer.save_checkpoint(folder / "checkpoints" / "model.ckpt", weights_only=True)
    (folder / "hparams.yaml").write_text(yaml.safe_dump(dict(model.hparams)), encoding="utf-8")


def main(root):
    """Make the models, then call the command ``comet-score`` on each."""
    words = (root / "words.txt").read_text(encoding="utf-8").split()
    make_encoder(root / "encoder", words)
    for kind in CLASSES:
        make_model(root / kind, kind, root / "encoder")
        named = {"-s": "source", "-t": "hypothesis"} | ({"-r": "reference"} if kind == "regression" else {})
        files = [part for option, name in named.items() for part in (option, str(root / f"{name}.txt"))]
        model = str(root / kind / "checkpoints" / "model.ckpt")
        sys.argv = ["comet-score", *files, "--model", model, "--gpus", "0", "--quiet"]
        sys.argv += ["--to_json", str(root / f"{kind}.json")]
        score_command()
        (rows,) = json.loads((root / f"{kind}.json").read_text(encoding="utf-8")).values()
        (root / f"{kind}.json").write_text(json.dumps([row["COMET"] for row in rows]), encoding="utf-8")
    path = root / "referenceless" / "checkpoints" / "model.ckpt"
    torch.save({**torch.load(path, weights_only=True), "callback": PurePosixPath("an object")}, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
