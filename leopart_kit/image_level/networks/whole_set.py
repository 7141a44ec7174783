"""Features of all images of a set in order, for methods that label the set themselves."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from leopart_kit.backbones import Encoder
from leopart_kit.methods.building import ImagesInOrder
from leopart_kit.methods.world import process_group, world_rank, world_size


@torch.no_grad()
def features_in_order(encoder: Encoder, images: ImagesInOrder) -> Tensor:
    """`cls_token` of every image, float32 `[N, D]` on the encoder's device, in every process.

    Each process runs a share of the images. The encoder is in eval mode meanwhile, with running
    statistics that are averaged over the processes: where these keep their own, features would
    depend on whose share an image is in.
    """
    _average_statistics(encoder)
    total = len(images)
    share = -(-total // world_size())
    start = min(world_rank() * share, total)
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    rows = [
        encoder.cls_token(batch.to(device)).float()
        for batch in images.batches(start, min(start + share, total))
    ]
    encoder.train(was_training)
    own = torch.zeros(share, encoder.embed_dim, device=device)
    if rows:
        found = torch.cat(rows)
        own[: len(found)] = found
    if (group := process_group()) is None:
        return own
    parts = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(parts, own, group=group)
    return torch.cat(parts)[:total]


def _average_statistics(encoder: Encoder) -> None:
    if (group := process_group()) is None:
        return
    for norm in encoder.modules():
        for statistic in norm.buffers(recurse=False) if isinstance(norm, _BatchNorm) else ():
            if statistic.is_floating_point():
                dist.all_reduce(statistic, group=group)
                statistic /= world_size()


def agree_on(labels: Tensor) -> Tensor:
    """The first process's labels in every process: the last bit of a sum may differ elsewhere."""
    if (group := process_group()) is not None:
        dist.broadcast(labels, src=0, group=group)
    return labels
