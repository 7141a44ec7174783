"""DeepCluster: k-means on the features of the set gives the labels of the next epoch.

Caron et al., "Deep Clustering for Unsupervised Learning of Visual Features", ECCV 2018.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.clustering import PCA, KMeans
from leopart_kit.losses import balanced_cross_entropy
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.whole_set import ImagesInOrder, agree_on, features_in_order

logger = logging.getLogger(__name__)


class DeepCluster(Method):
    """Encoder and a linear classifier that starts anew at every clustering.

    Args:
        encoder: trained in place.
        images: the training set, for the passes over it.
        relabel_every: optimiser steps between two clusterings; an epoch in the paper.
        learning_rate: peak of its schedule.
        num_clusters: K of k-means.
        pca_dim: features are reduced to so many dimensions, whitened and brought to length 1.
        seed: of k-means and of the new classifiers.

    Raises:
        ValueError: fewer images than clusters, or a number below 1.
    """

    labels: Tensor  # int64 [N]
    label_counts: Tensor  # int64 [K]

    def __init__(
        self,
        encoder: Encoder,
        images: ImagesInOrder,
        *,
        relabel_every: int,
        learning_rate: float = 1e-3,
        num_clusters: int = 10_000,
        pca_dim: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if relabel_every < 1 or pca_dim < 1:
            raise ValueError(
                f"relabel_every and pca_dim must be 1 or more, got {relabel_every} and {pca_dim}"
            )
        if not 1 <= num_clusters <= len(images):
            raise ValueError(
                f"num_clusters {num_clusters} must lie between 1 and the {len(images)} images"
            )
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.embed_dim, num_clusters)
        self.images = images
        self.relabel_every = relabel_every
        self.learning_rate = learning_rate
        self.num_clusters = num_clusters
        self.pca_dim = min(pca_dim, encoder.embed_dim, len(images))
        self.seed = seed
        self.register_buffer("labels", torch.zeros(len(images), dtype=torch.int64))
        self.register_buffer("label_counts", torch.zeros(num_clusters, dtype=torch.int64))

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is `(views, indices)`, V `[B, 3, s, s]` and `[B]`."""
        views, indices = batch
        scores = self.classifier(self.encoder.cls_token(torch.cat(views)))
        labels = self.labels[indices].repeat(len(views))
        loss = balanced_cross_entropy(scores, labels, self.label_counts)
        right = (scores.argmax(dim=1) == labels).float().mean()
        return StepOutput(loss, {"accuracy": right})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.learning_rate)

    def before_step(self, step: int) -> None:
        """Where it is due, cluster the set and start the classifier anew."""
        if step % self.relabel_every == 0:
            self._relabel(step)

    def started_anew(self, step: int) -> list[nn.Parameter]:
        """The classifier, with every clustering."""
        return list(self.classifier.parameters()) if step % self.relabel_every == 0 else []

    def assignments(self) -> Tensor:
        """See `Method.assignments`: the clusters that were found last."""
        return self.labels

    def _relabel(self, step: int) -> None:
        points = whitened(features_in_order(self.encoder, self.images), self.pca_dim)
        found = KMeans(self.num_clusters, num_restarts=1, num_iterations=20, seed=self.seed).fit(
            points
        )
        labels = agree_on(found.predict(points))
        moved = (labels != self.labels).float().mean().item()
        self.labels.copy_(labels)
        self.label_counts.copy_(torch.bincount(labels, minlength=self.num_clusters))
        self._reset_classifier(step)
        logger.info(
            "step %d: %d of %d clusters in use, %.0f%% of the images in another one",
            step,
            int((self.label_counts > 0).sum()),
            self.num_clusters,
            100 * moved,
        )

    def _reset_classifier(self, step: int) -> None:
        # From a generator of its own, so that all processes start from the same weights.
        generator = torch.Generator().manual_seed(self.seed + step)
        bound = 1 / math.sqrt(self.classifier.in_features)
        weight = torch.empty(self.classifier.weight.shape).uniform_(
            -bound, bound, generator=generator
        )
        self.classifier.weight.copy_(weight)
        self.classifier.bias.zero_()


def whitened(features: Tensor, dim: int) -> Tensor:
    """Features `[N, D]` → their first principal components at variance 1, of length 1, `[N, dim]`.

    Source: section 3.4, "clustering"; Caron et al. use Johnson et al.'s code.
    """
    pca = PCA(dim).fit(features)
    scale = pca.explained_variance.clamp(min=1e-12).rsqrt().to(features.device)
    return F.normalize(pca.transform(features) * scale, dim=1)
