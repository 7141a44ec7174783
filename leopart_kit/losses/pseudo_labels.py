"""Learn from labels that were found by clustering: their making and their cross entropy."""

from __future__ import annotations

import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.clustering import sinkhorn_knopp
from leopart_kit.losses.full_precision import full_precision


def transport_plan(
    log_probabilities: Tensor,
    sharpness: float = 25.0,
    num_iterations: int = 100,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """The plan closest to the predictions of a whole set that uses every label equally.

    Solves max_Q <Q, log P> + H(Q) / sharpness over all Q whose rows sum to 1 and whose columns
    have equal masses; labels are the largest entries of its rows.

    Args:
        log_probabilities: `[N, K]` of all images of the set.
        sharpness: lambda; the larger, the closer to the unregularised transport.
        process_group: if given, each of its processes has some of the images, and gets their rows.

    Returns:
        `[N, K]`.

    Source: Asano et al. (SeLa), ICLR 2020, equations 6 to 8.
    """
    return sinkhorn_knopp(log_probabilities, 1 / sharpness, num_iterations, process_group)


@full_precision
def balanced_cross_entropy(scores: Tensor, labels: Tensor, label_counts: Tensor) -> Tensor:
    """Cross entropy in which every label of the set weighs alike, however many images have it.

    An image weighs N / (K · images of its label), with K the labels in use: in expectation, what
    sampling labels uniformly and then images of them gives.

    Args:
        scores: `[B, K]`.
        labels: int64 `[B]`.
        label_counts: `[K]`, images of each label in the whole set.

    Returns:
        scalar.

    Source: Caron et al. (DeepCluster), ECCV 2018, section 3.3, "trivial parametrization".
    """
    used = (label_counts > 0).sum()
    weights = label_counts.sum() / (used * label_counts.clamp(min=1))
    losses = F.cross_entropy(scores, labels, reduction="none")
    return (losses * weights.to(losses)[labels]).mean()
