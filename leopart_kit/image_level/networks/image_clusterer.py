"""A network that scores every image against prototypes: backbone, projection, prototypes."""

from __future__ import annotations

from torch import Tensor

from leopart_kit.methods.patch_clusterer import PatchClusterer


class ImageClusterer(PatchClusterer):
    """A `PatchClusterer` whose images have one token: CLS, or the mean of the patches."""

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings `[B, 1, 1, E]` of normalised images `[B, 3, H, W]`."""
        return self.embed(self.backbone.cls_token(images)[:, :, None, None])
