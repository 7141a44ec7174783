"""A network that scores every image against prototypes: backbone, projection, prototypes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from leopart_kit.methods.patch_clusterer import PatchClusterer
from leopart_kit.methods.patch_embedder import by_size


class ImageClusterer(PatchClusterer):
    """A `PatchClusterer` whose images have one token: CLS, or the mean of the patches."""

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings `[B, 1, 1, E]` of normalised images `[B, 3, H, W]`."""
        return self._embed_images(self.backbone.cls_token(images))

    def scores_and_tokens(self, views: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Scores `[B, K]` and patch tokens `[B, D, h_v, w_v]` of each view `[B, 3, H_v, W_v]`."""

        def run(images: Tensor) -> tuple[Tensor, Tensor]:
            image, patches = self.backbone.cls_and_patches(images)
            return self._embed_images(image), patches

        embeddings, tokens = zip(*by_size(views, run), strict=True)
        return [self.scores(rows)[:, 0, 0] for rows in embeddings], list(tokens)

    def _embed_images(self, tokens: Tensor) -> Tensor:
        return self.embed(tokens[:, :, None, None])
