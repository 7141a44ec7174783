"""Gradients averaged over processes, also of an encoder that is not used to its end."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from leopart_kit.backbones.vit import ViTEncoder
from leopart_kit.processes import PATIENCE


class DataParallel(DDPStrategy):
    """DistributedDataParallel that waits for no parameter without a gradient.

    `encoder.block=-2` leaves the last block out, and `facet=key` all that comes after the keys.
    Processes would wait for those gradients, so they are looked for in each step then. Otherwise
    they are not, since the search takes time.
    """

    def __init__(self) -> None:
        # Buffers are a method's own in each process (its share of a queue): a forward pass must
        # not overwrite them. torch has renamed the option.
        known = inspect.signature(DistributedDataParallel).parameters
        option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        # Gradients are views of what is sent: no copy of them is made or held.
        options: dict[str, Any] = {option: False, "gradient_as_bucket_view": True}
        super().__init__(timeout=PATIENCE, **options)

    def setup_module(self, module: nn.Module) -> DistributedDataParallel:
        """See `DDPStrategy.setup_module`."""
        encoders = [part for part in module.modules() if isinstance(part, ViTEncoder)]
        self._ddp_kwargs["find_unused_parameters"] = any(map(unreached_parameters, encoders))
        return super().setup_module(module)


def unreached_parameters(encoder: ViTEncoder) -> list[str]:
    """Trainable parameters that neither patch tokens nor the CLS token depend on, by name."""
    trainable = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    if not trainable:
        return []
    first, was_training = next(iter(trainable.values())), encoder.training
    blank = first.new_zeros(1, 3, encoder.patch_size, encoder.patch_size)
    encoder.eval()  # draws nothing at random, and keeps the statistics of batch norm
    with torch.enable_grad():
        output = encoder.patch_tokens(blank).sum() + encoder.cls_token(blank).sum()
    encoder.train(was_training)
    gradients = torch.autograd.grad(output, list(trainable.values()), allow_unused=True)
    return [name for name, found in zip(trainable, gradients, strict=True) if found is None]
