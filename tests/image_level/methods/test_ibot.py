"""iBOT: what is masked, and what the loss is made of."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.image_level.data import ViewSettings
from leopart_kit.image_level.methods.block_mask import block_mask
from leopart_kit.image_level.methods.dino import DINOSettings
from leopart_kit.image_level.methods.ibot import IBOT, IBOTSettings, MaskedClusterer, MaskedViews
from leopart_kit.image_level.methods.swav import SwAVSettings
from leopart_kit.losses import gram_anchoring, ibot_loss
from leopart_kit.methods import ProjectionHead, Prototypes
from tests.image_level.tiny_networks import normalised_images, tiny_resnet
from tests.methods.tiny_clusterer import DIM, tiny_vit


@given(st.integers(1, 20), st.integers(1, 20), st.floats(0, 1), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_a_mask_has_at_most_its_share(rows: int, columns: int, share: float, seed: int):
    random.seed(seed)
    mask = block_mask((rows, columns), share)
    assert mask.shape == (rows, columns)
    assert mask.sum() <= share * mask.numel()


def test_masks_reach_their_share_in_blocks():
    random.seed(0)
    masks = torch.stack([block_mask((14, 14), 0.3) for _ in range(200)]).float()
    assert 0.25 < masks.mean() <= 0.3
    together = (masks[:, 1:] * masks[:, :-1]).sum() / masks[:, 1:].sum()
    assert together > 0.5, "neighbours of masked patches are masked more often than by chance"


def test_views_come_with_a_mask_each():
    random.seed(1)
    views = MaskedViews(lambda image: [image, image, image], (6, 6), 2, 0.5, (0.2, 0.4))
    masks = torch.stack([views(torch.zeros(3))[-1] for _ in range(200)])
    assert masks.shape == (200, 2, 6, 6)
    shares = masks.float().mean(dim=(2, 3)).flatten()
    assert 0.4 < (shares == 0).float().mean() < 0.6
    assert shares.max() <= 0.4


def network() -> MaskedClusterer:
    torch.manual_seed(1)
    head = ProjectionHead(DIM, 16, 6)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return MaskedClusterer(tiny_vit(), head, Prototypes(6, 5))


def test_the_loss_is_that_of_what_the_networks_say():
    method: Any = IBOT(network(), IBOTSettings(num_outputs=5))
    views: list[Any] = [normalised_images(3, seed, 32) for seed in (0, 1)]
    views.append(normalised_images(3, 2, 16))
    mask = torch.rand(3, 2, 4, 4) < 0.4
    with torch.no_grad():
        method.student.mask_token.fill_(0.7)
    loss = method([*views, mask], 0).loss
    student, teacher = method.student, method.teacher
    whole, hidden = torch.cat(views[:2]), mask.transpose(0, 1)
    says = student.masked(whole, hidden.flatten(0, 1))[:2]
    taught = teacher.masked(whole, torch.zeros(6, 4, 4, dtype=torch.bool))[:2]
    local = student.scores(student(views[2]))[:, 0, 0]
    arguments = (*says, local, *taught, hidden)
    first, second = ibot_loss(*arguments, teacher_temperature=0.07)
    torch.testing.assert_close(loss, first + second)
    loss.backward()
    assert student.mask_token.grad.abs().sum() > 0  # type: ignore[union-attr]
    # The centres have moved a tenth of the way to the batch's means.
    torch.testing.assert_close(method.centre, 0.1 * taught[0].mean(dim=0))
    torch.testing.assert_close(method.centre_patches, 0.1 * taught[1].flatten(0, 1).mean(dim=0))


def test_without_a_mask_tokens_are_the_network_s_own():
    student, images = network(), normalised_images(2, 0, 32)
    none = torch.zeros(2, 4, 4, dtype=torch.bool)
    backbone: Any = student.backbone
    cls, patches = backbone.masked_tokens(images, none, student.mask_token)
    torch.testing.assert_close(cls, backbone.cls_token(images))
    torch.testing.assert_close(patches, backbone.patch_tokens(images).flatten(2).transpose(1, 2))


def test_a_network_without_a_cls_token_is_refused():
    with pytest.raises(ValueError, match="ibot"):
        MaskedClusterer(tiny_resnet(), ProjectionHead(8, 16, 6), Prototypes(6, 5))


def test_gram_anchoring_is_a_term_on_the_tokens_of_the_masked_views():
    views: list[Any] = [normalised_images(3, seed, 32) for seed in (0, 1)]
    mask = torch.zeros(3, 2, 4, 4, dtype=torch.bool)
    for teacher in ("start", "ema"):
        settings_ = IBOTSettings(num_outputs=5, gram_weight=2.0, gram_teacher=teacher)
        anchored: Any = IBOT(network(), settings_).eval()
        plain: Any = IBOT(network(), IBOTSettings(num_outputs=5)).eval()
        output, without = anchored([*views, mask], 0), plain([*views, mask], 0)
        assert output.logs["gram"] == pytest.approx(0, abs=1e-10), "nothing is hidden or moved yet"
        torch.testing.assert_close(output.loss, without.loss)
        hidden = mask.clone()
        hidden[:, :, :2] = True
        output = anchored([*views, hidden], 0)
        student = anchored.student.masked(torch.cat(views), hidden.transpose(0, 1).flatten(0, 1))
        known = plain.teacher.backbone.patch_tokens(torch.cat(views))
        expected = 2 * gram_anchoring(*(maps.flatten(2).mT for maps in (student.tokens, known)))
        torch.testing.assert_close(output.logs["gram"], expected.detach())
        assert expected > 1e-5


def test_both_temperatures_of_the_teacher_rise():
    method = IBOT(network(), IBOTSettings(num_outputs=5), warmup_steps=10)
    for step, expected in ((0, 0.04), (5, 0.055), (10, 0.07), (99, 0.07)):
        assert method.teacher_temperature(step) == pytest.approx(expected)
        assert method.teacher_patch_temperature(step) == pytest.approx(expected)


@pytest.mark.parametrize("made", [IBOTSettings, DINOSettings, SwAVSettings])
def test_one_view_is_compared_with_no_other(made: Any):
    one = {name: replace(view, count=0) for name, view in made().views.items()}
    one[next(iter(one))] = ViewSettings(count=1)
    with pytest.raises(ValueError, match=r"method\.views"):
        made(views=one).num_targets()
