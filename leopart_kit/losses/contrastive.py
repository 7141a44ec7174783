"""Tell an image's own other view from those of all other images."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.losses.arguments import check_positive
from leopart_kit.losses.full_precision import full_precision
from leopart_kit.losses.gathering import gather_rows


@full_precision
def nt_xent(
    first: Tensor,
    second: Tensor,
    temperature: float = 0.1,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """Normalised temperature-scaled cross entropy over both views of a batch.

    Each of the 2 N embeddings is a query once; its positive is the other view of its image, its
    negatives are the other 2 N - 2 embeddings.

    Args:
        first, second: `[N, D]` embeddings of the two views, of any length.
        temperature: of the softmax over cosine similarities.
        process_group: negatives come from the batches of all its processes, which are of equal
            size; the mean of the results is the loss of the global batch.

    Returns:
        scalar.

    Raises:
        ValueError: if the shapes differ, there is one image alone, or a temperature not above 0.

    Source: Chen et al. (SimCLR), ICML 2020, section 2.1, equation 1.
    """
    check_positive(temperature=temperature)
    _check_pair(first, second)
    views = [F.normalize(view, dim=1) for view in (first, second)]
    gathered = [gather_rows(view, process_group) for view in views]
    everything = torch.cat([rows for rows, _ in gathered])  # [2 · global N, D]
    num_images, offset = len(everything) // 2, gathered[0][1]
    if num_images < 2:
        raise ValueError("one image has no negatives; use batches of 2 images or more")
    own = torch.arange(len(first), device=first.device) + offset
    places = torch.cat([own, own + num_images])  # of the queries among all embeddings
    logits = torch.cat(views) @ everything.T / temperature
    logits = logits.scatter(1, places[:, None], float("-inf"))
    return F.cross_entropy(logits, (places + num_images) % (2 * num_images))


@full_precision
def queue_info_nce(
    queries: Tensor, keys: Tensor, negatives: Tensor, temperature: float = 0.2
) -> Tensor:
    """InfoNCE of a query with its key as the positive and a queue of older keys as negatives.

    Args:
        queries: `[N, D]`, of any length.
        keys: `[N, D]`, without gradient.
        negatives: `[Q, D]`; with none the loss is 0.
        temperature: of the softmax over cosine similarities.

    Returns:
        scalar.

    Raises:
        ValueError: if the shapes of queries and keys differ, or a temperature not above 0.

    Source: He et al. (MoCo), CVPR 2020, equation 1 and algorithm 1.
    """
    check_positive(temperature=temperature)
    _check_pair(queries, keys)
    queries, keys, negatives = (F.normalize(x, dim=1) for x in (queries, keys.detach(), negatives))
    positive = (queries * keys).sum(dim=1, keepdim=True)
    logits = torch.cat([positive, queries @ negatives.detach().T], dim=1) / temperature
    return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))


@full_precision
def batch_info_nce(
    queries: Tensor,
    keys: Tensor,
    temperature: float | Tensor = 0.2,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """InfoNCE with the keys of the batch: the query's own is the positive, all others negatives.

    Args:
        queries, keys: `[N, D]`, of any length; gradients reach both.
        temperature: of the softmax over cosine similarities, a tensor where it is learned.
        process_group: keys come from the batches of all its processes, which are of equal size;
            the mean of the results is the loss of the global batch.

    Returns:
        scalar.

    Raises:
        ValueError: if the shapes differ, or a temperature not above 0.

    Source: Chen et al. (MoCo v3), ICCV 2021, algorithm 1 (which multiplies by 2 · temperature);
    with the roles of image and text exchanged also Radford et al. (CLIP), ICML 2021, figure 3.
    """
    check_positive(temperature=temperature)
    _check_pair(queries, keys)
    all_keys, offset = gather_rows(F.normalize(keys, dim=1), process_group)
    logits = F.normalize(queries, dim=1) @ all_keys.T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device) + offset)


def _check_pair(first: Tensor, second: Tensor) -> None:
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(
            "the two sides must be [images, dimensions] of equal shape, got "
            f"{list(first.shape)} and {list(second.shape)}"
        )
