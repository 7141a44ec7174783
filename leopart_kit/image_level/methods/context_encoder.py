"""Context encoder: paint a hidden region of the image.

Pathak et al., "Context Encoders: Feature Learning by Inpainting", CVPR 2016. The reconstruction
loss alone: the paper leaves out the adversarial one too where it learns features.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.data import HiddenRegionTransform
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings
from leopart_kit.image_level.networks.image_decoder import ImageDecoder
from leopart_kit.losses import masked_squared_error
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.settings import Count, Share, settings


class ContextEncoder(Method):
    """The encoder sees the view with the region in the mean colour; the loss sees only the region.

    Args:
        encoder: trained in place.
        image_size: side of the views in pixels.
        settings: the method's numbers.
    """

    def __init__(
        self, encoder: Encoder, image_size: int, settings: ContextEncoderSettings | None = None
    ) -> None:
        super().__init__()
        self.settings = settings = settings or ContextEncoderSettings()
        self.encoder = encoder
        self.decoder = ImageDecoder(encoder.embed_dim, image_size, settings.decoder_width)

    def paint(self, images: Tensor, hidden: Tensor) -> Tensor:
        """Images `[B, 3, s, s]` and what is hidden, bool `[B, 1, s, s]` → all pixels, painted."""
        return self.decoder(self.encoder.cls_token(images.masked_fill(hidden, 0.0)))

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is a collated `(view, hidden)`."""
        images, hidden = batch
        loss = masked_squared_error(self.paint(images, hidden), images, hidden)
        return StepOutput(loss, {"error_over_variance": loss.detach() / images.var()})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.settings.learning_rate)


@settings
class ContextEncoderSettings(ImageMethodSettings):
    """Settings of the context encoder; the paper has a rate of 2e-3."""

    num_views: ClassVar[int | None] = 1

    decoder_width: Count = 256
    """Channels of the decoder's smallest grid."""
    hidden_share: Share = 0.5
    """Side of the hidden square as a share of the view's; the paper: 64 of 128 px."""
    training: TrainingDefaults = TrainingDefaults(
        epochs=100, weight_decay=0.0, final_weight_decay=0.0
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts)
        method = ContextEncoder(parts.encoder, views.views[0].side, self)
        images = ImagesOf(parts.dataset)
        return Built(method, images, HiddenRegionTransform(views, self.hidden_share))


PART = ContextEncoderSettings
