"""An encoder that looks at every image twice, as it is and mirrored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from torch import Tensor

from leopart_kit.backbones.encoder import Encoder, pad_to_grid


class MirroredEncoder(Encoder):
    """Means of an encoder's outputs over an image and its mirror image, mirrored back.

    STEGO (Hamilton et al. 2022) segments with codes that are averaged so.

    Args:
        encoder: the encoder, whose name, weights and preprocessing stay.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(
            name=encoder.name,
            embed_dim=encoder.embed_dim,
            patch_size=encoder.patch_size,
            mean=encoder.mean,
            std=encoder.std,
            depth=encoder.depth,
            weights=encoder.weights,
            settings=encoder.settings,
        )
        self.encoder = encoder

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalise as the encoder does."""
        return self.encoder.preprocess(images)

    def patch_tokens(self, images: Tensor) -> Tensor:
        """Mean patch tokens, `[B, 3, H, W]` → `[B, D, ceil(H/p), ceil(W/p)]`."""
        return self._both_ways(self.encoder.patch_tokens, images)

    def attention(self, images: Tensor) -> Tensor:
        """Mean attention of CLS to the patches, `[B, heads, h, w]`."""
        return self._both_ways(self.encoder.attention, images)

    def cls_token(self, images: Tensor) -> Tensor:
        """Mean of the two vectors of an image, `[B, D]`."""
        return (self.encoder.cls_token(images) + self.encoder.cls_token(images.flip(-1))) / 2

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the encoder's own and that it is mirrored."""
        return hashlib.sha256(f"mirrored {self.encoder.fingerprint()}".encode()).hexdigest()

    def _both_ways(self, look: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        # Padded before it is mirrored, so that both grids have their patches at the same pixels.
        images = pad_to_grid(images, self.patch_size)
        return (look(images) + look(images.flip(-1)).flip(-1)) / 2
