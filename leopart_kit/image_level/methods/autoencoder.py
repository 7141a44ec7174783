"""Autoencoder: reconstruct the image through a bottleneck.

Hinton & Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 2006.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings
from leopart_kit.image_level.networks.image_decoder import ImageDecoder
from leopart_kit.losses import masked_squared_error
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.settings import Count, settings


class Autoencoder(Method):
    """Encoder, a code of few dimensions, decoder; the loss is the squared error of all pixels.

    Args:
        encoder: trained in place.
        image_size: side of the views in pixels.
        settings: the method's numbers.
    """

    def __init__(
        self, encoder: Encoder, image_size: int, settings: AutoencoderSettings | None = None
    ) -> None:
        super().__init__()
        self.settings = settings = settings or AutoencoderSettings()
        self.encoder = encoder
        self.code = nn.Linear(encoder.embed_dim, settings.code_dim)
        self.decoder = ImageDecoder(settings.code_dim, image_size, settings.decoder_width)

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
        return split_by_decay("all", self, self.settings.learning_rate)


@settings
class AutoencoderSettings(ImageMethodSettings):
    """Settings of the autoencoder."""

    num_views: ClassVar[int | None] = 1

    code_dim: Count = 128
    """Dimensions of the bottleneck."""
    decoder_width: Count = 256
    """Channels of the decoder's smallest grid."""
    training: TrainingDefaults = TrainingDefaults(
        epochs=100, weight_decay=0.0, final_weight_decay=0.0
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts)
        method = Autoencoder(parts.encoder, views.views[0].side, self)
        return Built(method, ImagesOf(parts.dataset), views)


PART = AutoencoderSettings
