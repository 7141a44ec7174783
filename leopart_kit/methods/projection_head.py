"""From patch tokens to embeddings, and from embeddings to prototype scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ProjectionHead(nn.Module):
    """MLP of three layers with GELU, then L2 normalisation.

    Args:
        in_dim: of the patch tokens.
        hidden_dim: of both hidden layers.
        out_dim: of the embeddings.

    Source: Ziegler and Asano (Leopart), CVPR 2022, section 4.1.
    """

    def __init__(self, in_dim: int, hidden_dim: int = 2048, out_dim: int = 256) -> None:
        super().__init__()
        self.out_dim = out_dim
        self.layers = nn.Sequential(
            nn.Linear(in_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, out_dim),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """`[..., in_dim]` → `[..., out_dim]` of length 1."""
        return F.normalize(self.layers(tokens), dim=-1)


class LinearProjection(nn.Module):
    """One linear layer, then L2 normalisation; can start as a PCA of the tokens.

    Args:
        in_dim: of the patch tokens.
        out_dim: of the embeddings.
    """

    def __init__(self, in_dim: int, out_dim: int = 64) -> None:
        super().__init__()
        self.out_dim = out_dim
        self.linear = nn.Linear(in_dim, out_dim)
        nn.init.trunc_normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    @classmethod
    def from_pca(cls, mean: Tensor, components: Tensor) -> LinearProjection:
        """The projection `components @ (token - mean)`.

        Args:
            mean: `[in_dim]`.
            components: `[out_dim, in_dim]`, in any scaling (whitened or not).

        Raises:
            ValueError: if the shapes do not fit each other.
        """
        if components.ndim != 2 or mean.shape != components.shape[1:]:
            raise ValueError(
                "components must be [out_dim, in_dim] and mean [in_dim], got shapes "
                f"{list(components.shape)} and {list(mean.shape)}"
            )
        projection = cls(components.shape[1], components.shape[0])
        with torch.no_grad():
            projection.linear.weight.copy_(components)
            projection.linear.bias.copy_(-(components @ mean))
        return projection

    def forward(self, tokens: Tensor) -> Tensor:
        """`[..., in_dim]` → `[..., out_dim]` of length 1."""
        return F.normalize(self.linear(tokens), dim=-1)


class Prototypes(nn.Module):
    """Unit vectors; the scores are cosine similarities of embeddings of length 1.

    Args:
        dim: of the embeddings.
        num_prototypes: K.

    Source: Caron et al. (SwAV), NeurIPS 2020, section 3.1.
    """

    def __init__(self, dim: int, num_prototypes: int = 300) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_prototypes, dim))
        self.normalize_()

    @classmethod
    def from_centroids(cls, centroids: Tensor) -> Prototypes:
        """Prototypes in the directions of cluster centres `[K, dim]`.

        Raises:
            ValueError: if the centroids are no matrix, or one is zero or not finite.
        """
        if centroids.ndim != 2:
            raise ValueError(f"centroids must be [K, dim], got shape {list(centroids.shape)}")
        lengths = centroids.norm(dim=1)
        bad = ~(lengths > 0) | lengths.isinf()
        if bad.any():
            raise ValueError(
                f"centroid {int(bad.nonzero()[0])} is zero or not finite and has no direction; "
                "use fewer clusters or more data"
            )
        num_prototypes, dim = centroids.shape
        prototypes = cls(dim, num_prototypes)
        with torch.no_grad():
            prototypes.weight.copy_(centroids)
        prototypes.normalize_()
        return prototypes

    @torch.no_grad()
    def normalize_(self) -> None:
        """Give every prototype length 1; call it before each step."""
        self.weight.copy_(F.normalize(self.weight, dim=1))

    def forward(self, embeddings: Tensor) -> Tensor:
        """`[..., dim]` → `[..., K]`."""
        return F.linear(embeddings, self.weight)
