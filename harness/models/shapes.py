"""What a model costs, from its configuration alone: no weights, no tokenizer, no download.

The model is built on PyTorch's meta device, where tensors have shapes and no memory.
"""

from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.preset import Preset
from warmup_bench.contracts.settings import Lora
from warmup_bench.models.costs import Costs, measure_costs
from warmup_bench.models.lora import add_adapter


def shape_costs(preset: Preset, lora: Lora) -> Costs:
    """The :class:`Costs` of a preset, with adapters where ``lora`` has a rank.

    The shape is the preset's own ``config``; of a checkpoint that declares none, what the hub's cache or the
    folder holds. A separator that would be added to a vocabulary is not counted (one row of the embeddings).

    Raises:
        UserError: The shape is neither declared nor at hand, or peft is needed and missing.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    config = _configuration(preset)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(config)
        if config.is_encoder_decoder and not config.tie_word_embeddings:
            model.set_input_embeddings(model.get_input_embeddings())  # the head alone has weights of its own
        if lora.rank:
            add_adapter(model, lora, rows=[0], dropout=0.0)
    return measure_costs(model)


def _configuration(preset: Preset) -> Any:
    from transformers import AutoConfig

    if preset.config:
        settings = {"vocab_size": preset.vocabulary, **preset.config}
        config = AutoConfig.for_model(settings.pop("model_type"), **settings)
        # transformers 5 overwrites it for mT5, whose checkpoints have a head of their own.
        config.tie_word_embeddings = settings.get("tie_word_embeddings", config.tie_word_embeddings)
        return config
    assert preset.checkpoint is not None  # a preset has a configuration or a checkpoint
    try:
        return AutoConfig.from_pretrained(
            preset.checkpoint, revision=preset.revision, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # a file of any content may stand there
        revision = f" --revision {preset.revision}" if preset.revision else ""
        raise UserError(
            f"the shape of {preset.name} is not known here, so that its cost can't be counted",
            origin=f"checkpoint {preset.checkpoint}",
            hint=f"Fetch it, a small file: hf download {preset.checkpoint} config.json{revision}",
        ) from error
