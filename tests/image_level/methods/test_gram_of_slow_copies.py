"""Gram anchoring of the image-level methods that have a slow copy: the term, and its teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from leopart_kit.image_level.methods.dino import DINO, DINOSettings
from leopart_kit.image_level.methods.ibot import IBOT, IBOTSettings, MaskedClusterer
from leopart_kit.image_level.methods.moco_v2 import MoCoV2, MoCoV2Settings
from leopart_kit.image_level.methods.moco_v3 import MoCoV3, MoCoV3Settings
from leopart_kit.image_level.networks.image_clusterer import ImageClusterer
from leopart_kit.losses import gram_anchoring
from leopart_kit.methods import Method, ProjectionHead, Prototypes
from tests.image_level.tiny_networks import normalised_images
from tests.methods.tiny_clusterer import DIM, tiny_vit

SMALL = {"hidden_dim": 8, "out_dim": 4}


def clusterer(kind: type[ImageClusterer]) -> ImageClusterer:
    return kind(tiny_vit(), ProjectionHead(DIM, 8, 6), Prototypes(6, 5))


METHODS: dict[str, Callable[..., Method]] = {
    "dino": lambda **gram: DINO(clusterer(ImageClusterer), DINOSettings(**gram)),
    "ibot": lambda **gram: IBOT(clusterer(MaskedClusterer), IBOTSettings(num_outputs=5, **gram)),  # type: ignore[arg-type]
    "moco_v2": lambda **gram: MoCoV2(tiny_vit(), MoCoV2Settings(queue_length=8, **SMALL, **gram)),
    "moco_v3": lambda **gram: MoCoV3(tiny_vit(), MoCoV3Settings(**SMALL, **gram)),
}
ANCHORED = {"dino": 2, "ibot": 2, "moco_v2": 1, "moco_v3": 2}
"""Views of 32 px that the method anchors; DINO and iBOT have a local one besides."""


def batch_of(name: str) -> list[Tensor]:
    views = [normalised_images(3, seed, 32) for seed in (0, 1)]
    local = [normalised_images(3, 2, 16)] if name in ("dino", "ibot") else []
    masks = [torch.zeros(3, 2, 4, 4, dtype=torch.bool)] if name == "ibot" else []
    return [*views, *local, *masks]


def made(name: str, **gram: Any) -> Any:
    torch.manual_seed(0)
    return METHODS[name](gram_weight=2.0, **gram).eval()


def networks(method: Any) -> tuple[Any, Any]:
    """The backbones of student and slow copy."""
    if isinstance(method, DINO):
        return method.student.backbone, method.teacher.backbone
    return method.encoder, method.momentum_encoder


def move(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def term_of(name: str, ours: Any, theirs: Any) -> Tensor:
    images = torch.cat(batch_of(name)[: ANCHORED[name]])
    rows = [network.patch_tokens(images).flatten(2).mT for network in (ours, theirs)]
    return 2 * gram_anchoring(*rows)


CASES = [(name, kind) for name in METHODS for kind in ("start", "ema") if name != "moco_v2"]


@pytest.mark.parametrize(("name", "kind"), [*CASES, ("moco_v2", "start")])
def test_the_term_is_that_of_the_tokens_of_the_global_views(name: str, kind: str):
    method, start = made(name, gram_teacher=kind), tiny_vit()
    assert method(batch_of(name), 1).logs["gram"] == pytest.approx(0, abs=1e-9)
    student, slow = networks(method)
    move(student, 1)
    move(slow, 2)
    output = method(batch_of(name), 1)
    expected = term_of(name, student, start if kind == "start" else slow)
    torch.testing.assert_close(output.logs["gram"], expected.detach())
    assert expected > 1e-4


@pytest.mark.parametrize("kind", ["start", "ema"])
@pytest.mark.parametrize(
    "sizes", [(32, 24, 32, 16), (32, 32, 32), (24, 32, 24), (32, 24), (16, 16, 32)]
)
def test_views_of_the_first_ones_size_are_anchored(kind: str, sizes: tuple[int, ...]):
    """Two global views; the start can be asked about local ones of their size too."""
    views = [normalised_images(3, seed, size) for seed, size in enumerate(sizes)]
    method, start = made("dino", gram_teacher=kind), tiny_vit()
    student, slow = networks(method)
    move(student, 1)
    move(slow, 2)
    seen = views if kind == "start" else views[:2]
    images = torch.cat([view for view in seen if view.shape == views[0].shape])
    known = start if kind == "start" else slow
    ours, theirs = (network.patch_tokens(images).flatten(2).mT for network in (student, known))
    expected = 2 * gram_anchoring(ours, theirs)
    torch.testing.assert_close(method(views, 1).logs["gram"], expected.detach())


@pytest.mark.parametrize("name", METHODS)
def test_the_term_adds_to_the_loss_and_to_its_gradient(name: str):
    def gradients(loss: Tensor, network: nn.Module) -> list[Tensor]:
        trained = [p for p in network.parameters() if p.requires_grad]
        found = torch.autograd.grad(loss, trained, allow_unused=True)
        pairs = zip(found, trained, strict=True)
        return [torch.zeros_like(p) if g is None else g for g, p in pairs]

    losses, grads = [], []
    torch.manual_seed(0)
    plain: Any = METHODS[name]().eval()
    for method in (made(name), plain):
        student, _ = networks(method)
        move(student, 1)
        losses.append(method(batch_of(name), 1).loss)
        grads.append(gradients(losses[-1], student))
    student, _ = networks(plain)
    term = term_of(name, student, tiny_vit())
    torch.testing.assert_close(losses[0], losses[1] + term)
    summed = [a + b for a, b in zip(grads[1], gradients(term, student), strict=True)]
    for found, expected in zip(grads[0], summed, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_the_start_is_renewed_by_the_slow_copy(name: str):
    method = made(name, gram_renew_every=2)
    _, slow = networks(method)
    move(slow, 2)
    for step, renewed in ((0, False), (1, False), (2, True)):
        method.before_step(step)
        start = method.gram.encoder.vit
        assert torch.equal(start.norm.weight, slow.vit.norm.weight) == renewed


def test_a_momentum_encoder_of_another_view_is_no_teacher_of_patches():
    with pytest.raises(ValueError, match="gram_teacher"):
        MoCoV2Settings(gram_weight=1.0, gram_teacher="ema")
