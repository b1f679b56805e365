"""How a model's layers are run: those of the T5 and Llama families here, any other through transformers."""
