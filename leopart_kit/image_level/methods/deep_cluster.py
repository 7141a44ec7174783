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
from leopart_kit.data import ImagesWith
from leopart_kit.image_level.data import OfImage, ViewSettings
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings, in_order, kinds
from leopart_kit.image_level.networks.whole_set import own_features
from leopart_kit.losses import balanced_cross_entropy
from leopart_kit.methods.building import Built, ImagesInOrder, Parts, TrainingDefaults
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.world import world
from leopart_kit.processes import ALONE, Processes
from leopart_kit.settings import Count, Positive, settings

logger = logging.getLogger(__name__)


class DeepCluster(Method):
    """Encoder and a linear classifier that starts anew at every clustering.

    Args:
        encoder: trained in place.
        images: the training set, for the passes over it.
        settings: the method's numbers.
        relabel_every: optimiser steps between two clusterings; an epoch in the paper.
        seed: of k-means and of the new classifiers.

    Raises:
        ValueError: fewer images than clusters.
    """

    labels: Tensor  # int64 [N]
    label_counts: Tensor  # int64 [K]

    def __init__(
        self,
        encoder: Encoder,
        images: ImagesInOrder,
        settings: DeepClusterSettings | None = None,
        *,
        relabel_every: int,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.settings = settings = settings or DeepClusterSettings()
        num_clusters = settings.num_clusters
        if num_clusters > len(images):
            raise ValueError(
                f"num_clusters {num_clusters} must lie between 1 and the {len(images)} images"
            )
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.embed_dim, num_clusters)
        self.images = images
        self.relabel_every = relabel_every
        self.pca_dim = min(settings.pca_dim, encoder.embed_dim, len(images))
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
        return split_by_decay("all", self, self.settings.learning_rate)

    def before_step(self, step: int) -> None:
        """Cluster the set and start the classifier anew, where it is due."""
        if step % self.relabel_every == 0:
            self._relabel(step)

    def started_anew(self, step: int) -> list[nn.Parameter]:
        """The classifier, with every clustering."""
        return list(self.classifier.parameters()) if step % self.relabel_every == 0 else []

    def assignments(self) -> Tensor:
        """See `Method.assignments`: the clusters that were found last."""
        return self.labels

    def _relabel(self, step: int) -> None:
        processes, number = world(), self.settings.num_clusters
        points = whitened(own_features(self.encoder, self.images), self.pca_dim, processes)
        found = KMeans(
            number, num_restarts=1, num_iterations=20, seed=self.seed, processes=processes
        ).fit(points)
        labels = processes.concatenate(found.predict(points))
        moved = (labels != self.labels).float().mean().item()
        self.labels.copy_(labels)
        self.label_counts.copy_(torch.bincount(labels, minlength=number))
        self._reset_classifier(step)
        logger.info(
            "step %d: %d of %d clusters in use, %.0f%% of the images in another one",
            step,
            int((self.label_counts > 0).sum()),
            number,
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


def whitened(features: Tensor, dim: int, processes: Processes = ALONE) -> Tensor:
    """Features `[N, D]` → their first principal components at variance 1, of length 1, `[N, dim]`.

    Several processes give some of the features each.

    Source: section 3.4, "clustering"; Caron et al. use Johnson et al.'s code.
    """
    pca = PCA(dim).fit(features, processes)
    scale = pca.explained_variance.clamp(min=1e-12).rsqrt().to(features.device)
    return F.normalize(pca.transform(features) * scale, dim=1)


@settings
class DeepClusterSettings(ImageMethodSettings):
    """Settings of DeepCluster; the paper has SGD with a rate of 0.05 and images without colours,
    here AdamW and colours."""

    num_clusters: Count = 10_000
    """K of k-means; all clusters have the same weight in the loss."""
    pca_dim: Count = 256
    """Dimensions to which features are reduced before they are whitened."""
    relabel_epochs: Positive = 1
    """Passes over the images between two clusterings."""
    views: dict[str, ViewSettings] = kinds(image=ViewSettings())
    training: TrainingDefaults = TrainingDefaults(
        epochs=200, weight_decay=1e-5, final_weight_decay=1e-5
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts)
        steps = max(1, parts.steps(self.relabel_epochs))
        images = in_order(parts, views)
        method = DeepCluster(parts.encoder, images, self, relabel_every=steps, seed=parts.seed)
        numbered = ImagesWith(parts.dataset, range(len(parts.dataset)))
        return Built(method, numbered, OfImage(views))


PART = DeepClusterSettings
