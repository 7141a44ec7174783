"""SwAV and DINO: codes, targets, centre, who is frozen and who follows."""

from __future__ import annotations

import math

import pytest
import torch

from leopart_kit.clustering import sinkhorn_knopp
from leopart_kit.image_level.methods.dino import DINO, DINOSettings
from leopart_kit.image_level.methods.swav import SwAV, SwAVSettings
from leopart_kit.image_level.networks.image_clusterer import ImageClusterer
from leopart_kit.losses import across_views_cross_entropy
from leopart_kit.methods import ProjectionHead, Prototypes
from tests.image_level.tiny_networks import normalised_images, tiny_resnet
from tests.methods.tiny_clusterer import DIM, tiny_vit


def network(num_prototypes: int = 5) -> ImageClusterer:
    torch.manual_seed(1)
    head = ProjectionHead(DIM, 16, 6)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return ImageClusterer(tiny_vit(), head, Prototypes(6, num_prototypes))


def views(seed: int = 0, num: int = 6):
    sizes = (32, 32, 16)
    return [normalised_images(num, seed + 10 * v, size) for v, size in enumerate(sizes)]


def scores_of(clusterer: ImageClusterer, batch) -> list[torch.Tensor]:
    embeddings = [clusterer.projection(clusterer.backbone.cls_token(view)) for view in batch]
    return [clusterer.prototypes(rows) for rows in embeddings]


def test_swav_s_codes_are_balanced_over_the_batch_and_predicted_by_the_other_views():
    method = SwAV(network(), SwAVSettings(queue_length=0, temperature=0.2))
    scores = scores_of(method.network, views())
    codes = torch.stack([sinkhorn_knopp(s, 0.05, 3) for s in scores[:2]])
    expected = across_views_cross_entropy(codes, scores, 0.2)
    torch.testing.assert_close(method(views(), 0).loss, expected, rtol=1e-4, atol=1e-5)


def test_the_queue_takes_part_once_it_is_full():
    method = SwAV(network(), SwAVSettings(queue_length=12))
    plain = SwAV(network(), SwAVSettings(queue_length=0))
    for step in range(2):
        batch = views(step)
        torch.testing.assert_close(method(batch, step).loss, plain(batch, step).loss)
    assert method.queue is not None
    assert method.queue.full
    batch = views(2)
    scores = scores_of(method.network, batch)
    queued = method.network.prototypes(method.queue.features)
    codes = torch.stack(
        [sinkhorn_knopp(torch.cat([queued[g], scores[g]]), 0.05, 3)[12:] for g in (0, 1)]
    )
    expected = across_views_cross_entropy(codes, scores, 0.1)
    torch.testing.assert_close(method(batch, 2).loss, expected, rtol=1e-4, atol=1e-5)


def test_prototypes_stand_still_at_first_and_are_unit_vectors():
    method = SwAV(network(), SwAVSettings(queue_length=0), frozen_steps=1)
    for step, frozen in ((0, True), (1, False)):
        with torch.no_grad():
            method.network.prototypes.weight.mul_(3)
            method.before_step(step)
        lengths = method.network.prototypes.weight.norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(5))
        method.zero_grad()
        method(views(), step).loss.backward()
        gradient = method.network.prototypes.weight.grad
        assert gradient is not None
        assert (gradient.abs().max() == 0) == frozen
        first = next(method.network.projection.parameters()).grad
        assert first is not None
        assert first.abs().max() > 0


def test_the_optimiser_forgets_what_stood_still_when_it_is_let_go():
    swav = SwAV(network(), SwAVSettings(queue_length=0), frozen_steps=2)
    dino = DINO(network(), frozen_steps=2)
    for method, prototypes in (
        (swav, swav.network.prototypes),
        (dino, dino.student.prototypes),
    ):
        named = [list(method.started_anew(step)) for step in range(4)]
        assert [len(parameters) for parameters in named] == [0, 0, 1, 0]
        assert named[2][0] is prototypes.weight


def test_dino_s_loss_and_centre_step_by_step():
    method = DINO(network(), DINOSettings(final_teacher_temperature=0.05)).train()
    centre = torch.zeros(5)
    with torch.no_grad():
        for parameter in method.student.parameters():
            parameter.mul_(1.1)
    for step in range(3):
        batch = views(step)
        with torch.no_grad():
            taught = torch.stack(scores_of(method.teacher, batch[:2]))
            targets = torch.softmax((taught - centre) / 0.05, dim=-1)
        expected = across_views_cross_entropy(targets, scores_of(method.student, batch), 0.1)
        torch.testing.assert_close(method(batch, step).loss, expected, rtol=1e-4, atol=1e-5)
        centre = 0.9 * centre + 0.1 * taught.flatten(0, 1).mean(dim=0)
        torch.testing.assert_close(method.centre, centre)
    assert "centre" in method.state_dict()


def test_sinkhorn_instead_of_the_centre():
    settings = DINOSettings(final_teacher_temperature=0.05, centring="sinkhorn")
    method = DINO(network(), settings).train()
    with torch.no_grad():
        for parameter in method.student.parameters():
            parameter.mul_(1.1)
        taught = torch.cat(scores_of(method.teacher, views()[:2]))
    targets = sinkhorn_knopp(taught, 0.05, 3).unflatten(0, (2, -1))
    expected = across_views_cross_entropy(targets, scores_of(method.student, views()), 0.1)
    torch.testing.assert_close(method(views(), 0).loss, expected, rtol=1e-4, atol=1e-5)
    assert not method.centre.any()


def test_the_teacher_s_temperature_rises_linearly_and_stays():
    method = DINO(network(), warmup_steps=4)
    values = [method.teacher_temperature(step) for step in (0, 2, 4, 100)]
    assert values == pytest.approx([0.04, 0.055, 0.07, 0.07])


def test_the_teacher_is_what_is_evaluated_and_follows_the_student():
    method = DINO(network(), frozen_steps=5).train()
    assert method.encoder is method.teacher.backbone
    assert not method.encoder.training
    assert method.student.backbone.training
    method.before_step(0)
    method(views(), 0).loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(p.grad is not None for p in method.student.parameters())
    last = method.student.prototypes.weight.grad
    assert last is not None
    assert last.abs().max() == 0
    with torch.no_grad():
        for parameter in method.student.parameters():
            parameter.add_(1.0)
    before = method.teacher.backbone.get_parameter("vit.cls_token").clone()
    method.after_step(0, momentum=0.75)
    after = method.teacher.backbone.get_parameter("vit.cls_token")
    torch.testing.assert_close(after, before + 0.25)


def test_a_teacher_with_batch_norm_has_statistics_that_fit_its_weights():
    torch.manual_seed(0)
    head = ProjectionHead(16, 16, 6)
    method = DINO(ImageClusterer(tiny_resnet(), head, Prototypes(6, 5))).train()
    batch = [normalised_images(8, v) for v in range(2)]
    for step in range(60):
        method(batch, step)
        method.after_step(step, momentum=0.8)
    # The weights have not moved, so the teacher sees what the student sees.
    student = method.student.eval()
    torch.testing.assert_close(
        method.teacher.backbone.cls_token(batch[0]),
        student.backbone.cls_token(batch[0]),
        rtol=0.02,
        atol=0.02,
    )


def test_logs_show_collapse():
    method = DINO(network()).train()
    logs = method(views(), 0).logs
    assert 0 < float(logs["target_entropy"]) < math.log(5)
    assert float(logs["usage_entropy"]) >= float(logs["target_entropy"])
