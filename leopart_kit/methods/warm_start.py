"""Start a clustering head from the data's own patch tokens instead of at random.

Random prototypes spend the first thousands of steps on finding clusters that k-means finds in
seconds. The projection starts as the tokens' PCA and the prototypes as their spherical k-means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from leopart_kit.clustering import PCA, KMeans, Standardizer
from leopart_kit.methods.projection_head import LinearProjection, Prototypes

TokenChunks = Callable[[], Iterator[Tensor]]

MAX_EMBEDDED_PATCHES = 4_000_000


def warm_start(
    tokens: TokenChunks,
    num_prototypes: int,
    *,
    projection_dim: int = 64,
    max_points_per_prototype: int = 400,
    seed: int = 0,
) -> tuple[LinearProjection, Prototypes]:
    """A projection from standardised PCA, and prototypes from spherical k-means on its output.

    Args:
        tokens: gives the patch tokens anew at each call, float32 `[n, D]` a chunk.
        num_prototypes: K.
        projection_dim: dimensions of the embeddings; at most D.
        max_points_per_prototype: k-means is trained on at most this many patches a prototype.
        seed: of the subsample and of k-means.

    Raises:
        ValueError: fewer patches than prototypes, or more dimensions than the tokens have.
    """
    standardizer = Standardizer().fit(tokens())
    pca = PCA(projection_dim).fit(standardizer.transform(chunk) for chunk in tokens())
    # (x - mean) / std, then the components, folded into one linear layer.
    components = pca.components / standardizer.std
    mean = standardizer.mean + pca.mean * standardizer.std
    projection = LinearProjection.from_pca(mean, components)
    with torch.no_grad():
        rows = sampled_rows(tokens, MAX_EMBEDDED_PATCHES, seed)
        embeddings = torch.cat([projection(chunk) for chunk in rows])
    kmeans = KMeans(
        num_prototypes,
        metric="spherical",
        num_restarts=3,
        max_points_per_cluster=max_points_per_prototype,
        seed=seed,
    ).fit(embeddings)
    return projection, Prototypes.from_centroids(kmeans.centroids)


def sampled_rows(tokens: TokenChunks, limit: int, seed: int) -> Iterator[Tensor]:
    """Chunks of all patches, or of a random `limit` or so of them where there are more."""
    total = sum(len(chunk) for chunk in tokens())
    generator = torch.Generator().manual_seed(seed)
    for chunk in tokens():
        if total <= limit:
            yield chunk
        else:
            yield chunk[torch.rand(len(chunk), generator=generator) < limit / total]
