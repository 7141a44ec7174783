"""Targets that stand still: a frozen encoder's tokens, clustered once over a whole data set."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leopart_kit.clustering import sinkhorn_potentials
from leopart_kit.methods.projection_head import LinearProjection, Prototypes
from leopart_kit.methods.warm_start import TokenChunks, sampled_rows, warm_start

MAX_BALANCED_PATCHES = 400_000


class TokenAnchor(nn.Module):
    """Assigns frozen tokens to prototypes, with masses balanced over the set it was fitted to.

    Sinkhorn-Knopp over a batch of a few images gives every image a share of every prototype, and
    so pulls equal things apart. Over the whole set a prototype may be absent from most images. The
    set's balance is kept as one potential a prototype: with it, any image is assigned on its own.

    Args:
        projection, prototypes: frozen here; see `warm_start`.
        potentials: `[K]`, see `clustering.sinkhorn_potentials`.
        epsilon: the entropy weight that the potentials belong to.
    """

    potentials: Tensor

    def __init__(
        self,
        projection: LinearProjection,
        prototypes: Prototypes,
        potentials: Tensor,
        epsilon: float,
    ) -> None:
        super().__init__()
        self.projection = projection.requires_grad_(False)
        self.prototypes = prototypes.requires_grad_(False)
        self.register_buffer("potentials", potentials)
        self.epsilon = epsilon

    @classmethod
    def fit(
        cls,
        tokens: TokenChunks,
        num_prototypes: int,
        *,
        projection_dim: int = 64,
        epsilon: float = 0.05,
        num_iterations: int = 3,
        seed: int = 0,
    ) -> TokenAnchor:
        """PCA, spherical k-means and Sinkhorn-Knopp over the patches of a data set.

        Args:
            tokens: gives the patch tokens anew at each call, float32 `[n, D]` a chunk. Of more
                than 400,000 patches a random share is balanced.
            num_iterations: of Sinkhorn-Knopp.

        Raises:
            ValueError: see `warm_start`.
        """
        projection, prototypes = warm_start(
            tokens, num_prototypes, projection_dim=projection_dim, seed=seed
        )
        with torch.no_grad():
            rows = sampled_rows(tokens, MAX_BALANCED_PATCHES, seed)
            scores = torch.cat([prototypes(projection(chunk)) for chunk in rows])
        potentials = sinkhorn_potentials(scores, epsilon, num_iterations)
        return cls(projection, prototypes, potentials, epsilon)

    @classmethod
    def empty(
        cls, embed_dim: int, num_prototypes: int, projection_dim: int, epsilon: float
    ) -> TokenAnchor:
        """An anchor of the right sizes, to be filled from a checkpoint."""
        projection = LinearProjection(embed_dim, projection_dim)
        prototypes = Prototypes(projection_dim, num_prototypes)
        return cls(projection, prototypes, torch.zeros(num_prototypes), epsilon)

    @torch.no_grad()
    def forward(self, tokens: Tensor) -> Tensor:
        """Assignments `[..., K]` of tokens `[..., D]`; rows sum to 1."""
        with torch.autocast(tokens.device.type, enabled=False):
            scores = self.prototypes(self.projection(tokens.float()))
            return torch.softmax(scores / self.epsilon + self.potentials, dim=-1)
