"""Weighted nearest neighbours, exact, in memory that does not grow with the number of images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def knn_predict(
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    num_classes: int,
    *,
    neighbours: int = 20,
    temperature: float = 0.07,
    chunk_size: int = 2048,
    device: str | torch.device = "cpu",
) -> Tensor:
    """The class with the most weight among the nearest training images by cosine.

    A neighbour of cosine s weighs exp(s / temperature).

    Args:
        train: features `[N, D]` of any float type, may be mapped from a file.
        train_labels: int64 `[N]`, from 0 to `num_classes - 1`.
        test: features `[M, D]`.
        neighbours: how many vote.
        chunk_size: rows of either side handled at a time.
        device: where to compute.

    Returns:
        int64 `[M]` on the CPU; of equal sums the lowest class.

    Raises:
        ValueError: more neighbours than training images.

    Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination",
    CVPR 2018, section 3.4.
    """
    if not 1 <= neighbours <= len(train):
        raise ValueError(
            f"{neighbours} neighbours of {len(train)} training images: set knn.neighbours to 1 … "
            f"{len(train)}"
        )
    predictions = []
    for part in test.split(chunk_size):
        queries = _unit(part, device)
        cosines, classes = _nearest(queries, train, train_labels, neighbours, chunk_size)
        # The largest cosine is subtracted: it cancels, and small temperatures do not overflow.
        weights = ((cosines - cosines.amax(dim=1, keepdim=True)) / temperature).exp()
        votes = torch.zeros(len(queries), num_classes, device=device)
        votes.scatter_add_(1, classes, weights)
        predictions.append(votes.argmax(dim=1).cpu())
    return torch.cat(predictions) if predictions else torch.empty(0, dtype=torch.int64)


def _nearest(
    queries: Tensor, train: Tensor, labels: Tensor, neighbours: int, chunk_size: int
) -> tuple[Tensor, Tensor]:
    """Cosines and classes of the nearest training images, `[M, neighbours]` each."""
    cosines = queries.new_empty(len(queries), 0)
    classes = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for keys, names in zip(train.split(chunk_size), labels.split(chunk_size), strict=True):
        found = queries @ _unit(keys, queries.device).T
        cosines = torch.cat([cosines, found], dim=1)
        classes = torch.cat([classes, names.to(queries.device).expand(len(queries), -1)], dim=1)
        cosines, places = cosines.topk(min(neighbours, cosines.shape[1]), dim=1)
        classes = classes.gather(1, places)
    return cosines, classes


def _unit(rows: Tensor, device: str | torch.device) -> Tensor:
    return F.normalize(rows.to(device).float(), dim=1)
