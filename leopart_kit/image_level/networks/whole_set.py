"""Features of the images of a set in order, for methods that label the set themselves."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from leopart_kit.backbones import Encoder
from leopart_kit.methods.building import ImagesInOrder
from leopart_kit.methods.world import process_group, world, world_size


@torch.no_grad()
def own_features(encoder: Encoder, images: ImagesInOrder) -> Tensor:
    """`cls_token` of the images of this process, float32 `[n, D]` on the encoder's device.

    The processes have about as many images each, in the order of their ranks; alone, this one has
    all. The encoder is in eval mode meanwhile, with running statistics that are averaged over the
    processes: where these keep their own, features would depend on whose share an image is in.
    """
    _average_statistics(encoder)
    part = world().part(len(images))
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    rows = [
        encoder.cls_token(batch.to(device)).float()
        for batch in images.batches(part.start, part.stop)
    ]
    encoder.train(was_training)
    return torch.cat([torch.empty(0, encoder.embed_dim, device=device), *rows])


def _average_statistics(encoder: Encoder) -> None:
    if (group := process_group()) is None:
        return
    for norm in encoder.modules():
        for statistic in norm.buffers(recurse=False) if isinstance(norm, _BatchNorm) else ():
            if statistic.is_floating_point():
                dist.all_reduce(statistic, group=group)
                statistic /= world_size()
