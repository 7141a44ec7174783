"""Settings of protocols that cluster patch tokens."""

from __future__ import annotations

from typing import Literal

from leopart_kit.settings import Count, Seeds, Size, settings


@settings
class TokenKMeans:
    """Preparation and k-means of patch tokens; the defaults are Leopart's."""

    resolution: Size = (448, 448)
    """`[H, W]` to which images are resized, in pixels."""
    standardize: bool = True
    """Zero mean and unit variance of each dimension over the set."""
    pca_dim: Count | None = 50
    """Dimensions kept by PCA; null keeps all."""
    l2_normalize: bool = False
    """Scale every token to length 1 before anything else."""
    metric: Literal["euclidean", "spherical"] = "euclidean"
    """Distance of the k-means."""
    num_iterations: Count = 100
    """Of each k-means, at most."""
    num_restarts: Count = 5
    """Starts of each k-means; the one of lowest inertia is kept."""
    max_points_per_cluster: Count | None = None
    """Points a cluster that k-means is trained on, drawn by seed; null: all. The papers: 256."""


@settings
class TokenClustering(TokenKMeans):
    """k-means of patch tokens that is scored against classes.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    seeds: Seeds = (0, 1, 2, 3, 4)
    """One k-means each; figures are mean and standard deviation over them."""
    score_resolution: Size = (100, 100)
    """`[H, W]` at which the headline is scored; full size is scored too."""
    engine: Literal["leopart_kit", "faiss"] = "leopart_kit"
    """Library of the k-means; the papers' is faiss."""
