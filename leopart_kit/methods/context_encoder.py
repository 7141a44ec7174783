"""Context encoder: paint a hidden region of the image.

Pathak et al., "Context Encoders: Feature Learning by Inpainting", CVPR 2016; its reconstruction
loss, without the adversarial one, which the paper leaves out too where it learns features.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.losses import masked_squared_error
from leopart_kit.methods.image_decoder import ImageDecoder
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay


class ContextEncoder(Method):
    """The encoder sees the view with the region in the mean colour; the loss sees only the region.

    Args:
        encoder: trained in place.
        image_size: side of the views in pixels.
        learning_rate: peak of its schedule.
        decoder_width: see `ImageDecoder`.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        image_size: int,
        learning_rate: float = 1e-3,
        decoder_width: int = 256,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = ImageDecoder(encoder.embed_dim, image_size, decoder_width)
        self.learning_rate = learning_rate

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
        return split_by_decay("all", self, self.learning_rate)
