"""Methods with a moving average: its running statistics start as those of its weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from leopart_kit.image_level.methods.dino import DINO
from leopart_kit.image_level.methods.moco_v2 import MoCoV2, MoCoV2Settings
from leopart_kit.image_level.methods.moco_v3 import MoCoV3, MoCoV3Settings
from leopart_kit.image_level.networks.image_clusterer import ImageClusterer
from leopart_kit.methods import Method, ProjectionHead, Prototypes
from tests.image_level.tiny_networks import tiny_resnet


def slow_copies(name: str) -> tuple[Method, list[nn.Module]]:
    """A method on a network with batch norm, and its parts that follow slowly."""
    encoder = tiny_resnet()
    if name == "moco_v2":
        moco = MoCoV2(encoder, MoCoV2Settings(hidden_dim=8, out_dim=4, queue_length=8))
        return moco, [moco.momentum_encoder]
    if name == "moco_v3":
        settings = MoCoV3Settings(hidden_dim=8, out_dim=4, frozen_patch_embedding=False)
        moco = MoCoV3(encoder, settings)
        return moco, [moco.momentum_encoder, moco.momentum_projector]
    head = ProjectionHead(encoder.embed_dim, 8, 6, batch_norm=True)
    dino = DINO(ImageClusterer(encoder, head, Prototypes(6, 5)))
    return dino, [dino.teacher]


def batch_norms(part: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    return [m for m in part.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]


@pytest.mark.parametrize("name", ["moco_v2", "moco_v3", "dino"])
def test_methods_with_a_slow_copy_start_it_so_in_the_first_step_alone(name: str):
    torch.manual_seed(0)
    method, copies = slow_copies(name)
    method.train()
    norms = [norm for part in copies for norm in batch_norms(part)]
    assert norms
    views = [torch.randn(4, 3, 32, 32) for _ in range(2)]
    for step, settled in ((0, True), (1, False)):
        for norm in batch_norms(method):
            norm.reset_running_stats()
        method.forward(views, step)
        assert all(bool((norm.running_var != 1).all()) is settled for norm in norms)
