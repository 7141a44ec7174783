"""Autoencoder: reconstruct the image through a bottleneck.

Hinton & Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 2006.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.losses import masked_squared_error
from leopart_kit.methods.image_decoder import ImageDecoder
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay


class Autoencoder(Method):
    """Encoder, a code of few dimensions, decoder; the loss is the squared error of all pixels.

    Args:
        encoder: trained in place.
        image_size: side of the views in pixels.
        learning_rate: peak of its schedule.
        code_dim: dimensions of the bottleneck.
        decoder_width: see `ImageDecoder`.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        image_size: int,
        learning_rate: float = 1e-3,
        code_dim: int = 128,
        decoder_width: int = 256,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.code = nn.Linear(encoder.embed_dim, code_dim)
        self.decoder = ImageDecoder(code_dim, image_size, decoder_width)
        self.learning_rate = learning_rate

    def reconstruct(self, images: Tensor) -> Tensor:
        """`[B, 3, s, s]` → its reconstruction, of the same shape."""
        return self.decoder(self.code(self.encoder.cls_token(images)))

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds one view `[B, 3, s, s]`."""
        (images,) = batch
        everywhere = torch.ones(1, dtype=torch.bool, device=images.device)
        loss = masked_squared_error(self.reconstruct(images), images, everywhere)
        return StepOutput(loss, {"error_over_variance": loss.detach() / images.var()})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.learning_rate)
