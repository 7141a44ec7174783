"""The mIoU of clusters as a metric of a validation loop, in the manner of torchmetrics."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from leopart_kit.metrics.counts import ConfusionMatrix
from leopart_kit.metrics.scores import Match, RuleFamily, match_counts


class UnsupervisedMIoU:
    """Mean IoU of clusters once they are matched to classes, over all batches together.

    >>> metric = UnsupervisedMIoU(num_classes=2)
    >>> metric.update(torch.tensor([[1, 1, 0]]), torch.tensor([[0, 0, 1]]))
    >>> metric.update(torch.tensor([[1, 0, 0]]), torch.tensor([[0, 1, 255]]))
    >>> metric.compute().item(), metric.match().cluster_to_class.tolist()
    (100.0, [1, 0])

    The matching is made from the counts of all pixels, so it does not depend on the batches.
    Memory is constant. Each process of several counts its own pixels: `merge` adds them up.

    Args:
        num_classes: C.
        num_clusters: K; C by default.
        rule, unmatched: see `match_counts`.
        ignore_index: target id whose pixels do not count.

    Raises:
        ValueError: fewer than one class or cluster.
    """

    def __init__(
        self,
        num_classes: int,
        num_clusters: int | None = None,
        *,
        rule: RuleFamily | None = None,
        unmatched: int = 0,
        ignore_index: int = 255,
    ) -> None:
        self.rule: RuleFamily | None = rule
        self.unmatched = unmatched
        number = num_classes if num_clusters is None else num_clusters
        self._confusion = ConfusionMatrix(num_classes, number, ignore_index)

    def update(self, prediction: Tensor | np.ndarray, target: Tensor | np.ndarray) -> None:
        """Adds a batch.

        Args:
            prediction: integer cluster ids of any shape. It comes first, as in torchmetrics.
            target: integer class ids, same shape.

        Raises:
            ValueError: as `ConfusionMatrix.update`.
        """
        self._confusion.update(target, prediction)

    def match(self) -> Match:
        """The classes of the clusters so far, with all scores.

        Raises:
            ValueError: no pixel that counts was given.
        """
        counts = self._confusion.counts
        if not counts.any():
            raise ValueError("there is no pixel to score: call update with labelled pixels first")
        return match_counts(counts, self.rule, self.unmatched)

    def compute(self) -> Tensor:
        """The mIoU over all classes so far, a scalar in percent; raises as `match`."""
        return torch.tensor(self.match().scores.miou)

    def reset(self) -> None:
        """Forgets all pixels."""
        self._confusion.counts.zero_()

    def merge(self, other: UnsupervisedMIoU) -> UnsupervisedMIoU:
        """Adds the pixels of `other` to this metric, which is returned; raises `ValueError`."""
        self._confusion.merge(other._confusion)
        return self
