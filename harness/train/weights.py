"""The weights that the optimiser moves, in fp32, and those that the layers compute with."""

from itertools import chain

import torch
from torch import Tensor
from torch.nn import Parameter

from warmup_bench.models.base import Backbone
from warmup_bench.models.lora import has_adapter


class Weights:
    """The trained weights of a model, whose layers compute in a type of its own while it is trained.

    In fp32 there is one set. In bfloat16 the model's own are a copy, from which nothing is cast in a step;
    the master weights, which alone can hold a small update, stay in fp32, with their gradients and the
    optimiser's state (mixed precision of Micikevicius et al. 2018).

    Attributes:
        masters: What the optimiser moves, fp32, in the order of the model's parameters.
    """

    def __init__(self, backbone: Backbone, dtype: str) -> None:
        """Take the weights of a model in fp32, and let its layers compute in ``dtype``."""
        self._backbone, self._model = backbone, backbone.model
        self._layers = [p for p in self._model.parameters() if p.requires_grad]
        self.masters: list[Parameter] = self._layers
        self._full: dict[str, Parameter] = {}
        if dtype == "float32":
            return
        kept = {name: p for name, p in self._model.named_parameters() if p.requires_grad}
        if not has_adapter(self._model):  # all of the model is saved then, frozen weights too
            kept = dict(self._model.named_parameters())
        self._full = {
            name: Parameter(p.data.float(), requires_grad=p.requires_grad) for name, p in kept.items()
        }
        self.masters = [p for p in self._full.values() if p.requires_grad]
        backbone.compute_in(dtype)

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.masters[0].device

    def collect(self) -> None:
        """Add the gradients of the layers to those of the masters."""
        if not self._full:
            return
        for master, layer in zip(self.masters, self._layers, strict=True):
            if layer.grad is not None:
                gradient = layer.grad.float()
                master.grad = gradient if master.grad is None else master.grad.add_(gradient)
                layer.grad = None

    @torch.no_grad()
    def publish(self) -> None:
        """Give the layers the values of the masters."""
        if self._full:
            torch._foreach_copy_(list[Tensor](self._layers), list[Tensor](self.masters))

    def forget_gradients(self) -> None:
        """Drop every gradient."""
        for parameter in chain(self.masters, self._layers):
            parameter.grad = None

    def named(self) -> dict[str, Tensor]:
        """Weights in fp32 and buffers by name, tied ones once; those of frozen layers as they compute."""
        return {**dict(self._model.named_parameters()), **self._full, **dict(self._model.named_buffers())}

    def give_back(self) -> None:
        """Leave the model in fp32, as it is saved."""
        for name, parameter in self._model.named_parameters():
            if name in self._full:
                parameter.data = self._full[name].data
        self._backbone.graphs.clear()
