"""A VoxCPM model made ready to be trained: whole or by a LoRA, in what precision, with what memory."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from core.engines.voxcpm.config_yaml import LoraSettings
from core.engines.voxcpm.loading import Network, load_network
from core.engines.voxcpm.package import module_of
from core.errors import BadInput


class Trainable(nn.Module):
    """What of a model is learnt, as a module of its own: the parameters that require gradients, by their names in the
    model, so that a checkpoint of a LoRA holds the LoRA alone. The model is run by calling it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._model = [model]  # in a list, so that its parameters are not this module's
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                _place(self, name, parameter)

    def forward(self, **batch: Any) -> dict[str, Tensor]:
        """The package's losses: "loss/diff" and "loss/stop", scalars. For arguments see core.engines.voxcpm.batches."""
        answer: dict[str, Tensor] = self._model[0](**batch)
        return answer

    def train(self, mode: bool = True) -> "Trainable":
        """Also of the model, whose LoRA may drop out."""
        super().train(mode)
        self._model[0].train(mode)
        return self


def _place(root: nn.Module, name: str, parameter: nn.Parameter) -> None:
    *path, last = name.split(".")
    for part in path:
        if part not in dict(root.named_children()):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.register_parameter(last, parameter)


def load_for_training(folder: Path, device: str, lora: LoraSettings | None) -> Network:
    """A model whose parameters to learn require gradients, in float32; the VAE never does.

    Under a LoRA on a GPU the frozen weights keep the precision of the file, which halves their memory. A LoRA's first
    weights are drawn from torch's default generator.

    Raises:
        ModelFileError, Unavailable: as `load_network`.
        BadInput: the LoRA's settings name no layer of the model; the GPU's memory is full.
    """
    keep = lora is not None and device != "cpu"
    net = load_network(folder, device, None if keep else torch.float32)
    model = net.model
    if lora is not None:
        model.lora_config = module_of(net.architecture).LoRAConfig(**lora.model_dump())
        model._apply_lora()
        model.to(device)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise BadInput(
                "The LoRA's settings name no layer of this model.",
                "Check target_modules_lm, target_modules_dit and target_proj_modules.",
                where="lora",
            )
    else:
        for name, parameter in model.named_parameters():
            if not name.startswith("audio_vae."):
                parameter.data = parameter.data.clone()  # a file's memory is not to be written to
                parameter.requires_grad_(True)
    model.config.dtype = "float32"  # of the masks and sums of the losses; autocast lowers the rest
    return net


def checkpoint_activations(model: Any) -> None:
    """Forget what the transformers' layers compute until the backward pass, which computes it again."""

    def forgetful(layer: Callable[..., Any], *inputs: Any, **more: Any) -> Any:
        if not torch.is_grad_enabled():
            return layer(*inputs, **more)
        return checkpoint(layer, *inputs, use_reentrant=False, **more)

    for module in model.modules():
        if type(module).__name__ == "MiniCPMDecoderLayer":
            module.forward = partial(forgetful, module.forward)
