"""One step of Leopart against the same step worked out from its parts."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from leopart_kit.clustering import attention_foreground
from leopart_kit.losses import leopart_loss
from leopart_kit.methods import Leopart, LeopartSettings, PatchClusterer, Prototypes
from leopart_kit.training.parameter_groups import check_parameter_groups
from tests.methods.tiny_clusterer import PATCH, patchy_images, tiny_clusterer, view_batch

NO_QUEUE: dict[str, Any] = {"queue_length": 0, "roi_size": 3}


@pytest.fixture
def batch():
    return view_batch(patchy_images(3))


def distinct_teacher(**vit: Any) -> PatchClusterer:
    """A teacher with other weights than the student."""
    teacher = tiny_clusterer(**vit)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    teacher.prototypes.normalize_()
    return teacher


def leopart(**settings: Any) -> Leopart:
    own = LeopartSettings(**{**NO_QUEUE, **settings})
    return Leopart(tiny_clusterer(), own, teacher=distinct_teacher()).train()


def scores_by_hand(network: PatchClusterer, images: Tensor) -> Tensor:
    """`[B, h, w, K]`: cosine of projected tokens and prototypes."""
    tokens = network.backbone.patch_tokens(images).permute(0, 2, 3, 1)
    linear: Any = network.projection.linear
    embeddings = tokens @ linear.weight.T + linear.bias
    embeddings = embeddings / embeddings.norm(dim=-1, keepdim=True)
    return embeddings @ network.prototypes.weight.T


@pytest.mark.parametrize("foreground", ["fg", "bg", "all"])
def test_the_loss_is_that_of_its_parts(batch, foreground: str):
    method = leopart(foreground=foreground, foreground_mass=0.8, epsilon=0.1, temperature=0.2)
    output = method(batch, 0)
    with torch.no_grad():
        teacher = torch.stack([scores_by_hand(method.teacher, view) for view in batch.views[:2]])
        student = [scores_by_hand(method.student, view) for view in batch.views]
        attention = [method.teacher.backbone.attention(view) for view in batch.views[:2]]
        mask = torch.stack([attention_foreground(a, 0.8) for a in attention])
    assert 0 < mask.float().mean() < 1
    counting = {"fg": mask, "bg": ~mask, "all": None}[foreground]
    expected = leopart_loss(
        teacher,
        student,
        batch.overlap_in_global,
        batch.overlap_in_view,
        PATCH,
        roi_size=3,
        epsilon=0.1,
        temperature=0.2,
        foreground=counting,
    )
    torch.testing.assert_close(output.loss, expected, rtol=1e-5, atol=1e-6)
    share = 1.0 if counting is None else counting.float().mean()
    assert float(output.logs["counting_patches"]) == pytest.approx(float(share))
    loss_share = float(output.logs["loss_over_log_prototypes"])
    assert loss_share == pytest.approx(expected.item() / math.log(5), rel=1e-5)


def test_fg_bg_and_all_differ(batch):
    kinds = ("fg", "bg", "all")
    losses = [leopart(foreground=kind, foreground_mass=0.8)(batch, 0).loss for kind in kinds]
    assert len({round(loss.item(), 5) for loss in losses}) == 3


@pytest.mark.parametrize("foreground", ["fg", "all"])
def test_the_gradient_reaches_the_whole_student_and_nothing_of_the_teacher(batch, foreground: str):
    method = leopart(foreground=foreground)
    method(batch, 0).loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    gradients = {name: p.grad for name, p in method.student.named_parameters()}
    without = [n for n, g in gradients.items() if g is None or not g.any()]
    assert without == []


def test_the_teacher_follows_the_updated_student():
    method = leopart()
    before = [p.clone() for p in method.teacher.parameters()]
    method.before_step(0)
    with torch.no_grad():
        for parameter in method.student.parameters():
            parameter += 0.1
        method.after_step(0, 0.75)
    leaders = method.student.parameters()
    for own, old, leader in zip(method.teacher.parameters(), before, leaders, strict=True):
        torch.testing.assert_close(own, 0.75 * old + 0.25 * leader, rtol=1e-5, atol=1e-6)


def test_the_released_teacher_follows_the_student_of_before_the_update():
    method = leopart(ema_before_update=True)
    for step in range(2):  # the student that is followed is remembered anew at each step
        method.before_step(step)
        followed = [p.detach().clone() for p in method.student.parameters()]
        before = [p.clone() for p in method.teacher.parameters()]
        with torch.no_grad():
            for parameter in method.student.parameters():
                parameter += 0.1
            method.after_step(step, 0.75)
        for own, old, leader in zip(method.teacher.parameters(), before, followed, strict=True):
            torch.testing.assert_close(own, 0.75 * old + 0.25 * leader, rtol=1e-5, atol=1e-6)


def test_prototypes_of_both_networks_have_length_one_before_each_step():
    method = leopart()
    with torch.no_grad():
        method.student.prototypes.weight.mul_(3)
        method.teacher.prototypes.weight.mul_(0.5)
    directions = method.teacher.prototypes.weight * 2
    method.before_step(0)
    for network in (method.student, method.teacher):
        lengths = network.prototypes.weight.norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(5))
    torch.testing.assert_close(method.teacher.prototypes.weight, directions)


def test_the_teacher_is_a_copy_unless_given_and_never_drops_a_path(batch):
    student = tiny_clusterer(drop_path_rate=0.5)
    method = Leopart(student, LeopartSettings(**NO_QUEUE)).train()
    assert method.student.backbone.training
    assert not any(module.training for module in method.teacher.modules())
    for own, other in zip(method.teacher.parameters(), student.parameters(), strict=True):
        assert torch.equal(own, other)
        assert own is not other
    taught = [method._teach(batch.views[1], 1)[0] for _ in range(2)]
    assert torch.equal(*taught)
    learnt = [method.student(batch.views[0]) for _ in range(20)]
    assert any(not torch.equal(learnt[0], other) for other in learnt), "the student drops paths"
    method.eval()
    assert not method.student.training


def queued(**settings: Any) -> Leopart:
    """3 images a batch store 30 embeddings a view: full after two steps."""
    return leopart(queue_length=60, foreground="all", **settings)


def test_the_queue_counts_once_it_is_full(batch):
    method, without = queued(), leopart(foreground="all")
    expected = without(batch, 0).loss
    assert method.queue is not None
    for step in range(2):
        assert not method.queue.full
        torch.testing.assert_close(method(batch, step).loss, expected, rtol=0, atol=0)
    assert method.queue.full
    features = method.queue.features.clone()
    with torch.no_grad():
        teacher = torch.stack([scores_by_hand(method.teacher, view) for view in batch.views[:2]])
        student = [scores_by_hand(method.student, view) for view in batch.views]
    by_hand = leopart_loss(
        teacher,
        student,
        batch.overlap_in_global,
        batch.overlap_in_view,
        PATCH,
        roi_size=3,
        queue_scores=features @ method.teacher.prototypes.weight.T,
    )
    torch.testing.assert_close(method(batch, 2).loss, by_hand, rtol=1e-5, atol=1e-6)
    assert not torch.isclose(by_hand, expected, rtol=1e-4)


def test_the_queue_can_be_scored_by_the_student(batch):
    losses = {}
    for scorer in ("teacher", "student"):
        torch.manual_seed(0)  # of the choice of stored embeddings
        method = queued(queue_scored_by=scorer)
        losses[scorer] = [method(batch, step).loss.item() for step in range(3)]
    assert losses["teacher"][:2] == losses["student"][:2]
    assert losses["teacher"][2] != pytest.approx(losses["student"][2], rel=1e-4)


def test_the_queue_holds_teacher_embeddings_of_counting_patches(batch):
    method = leopart(queue_length=60, foreground="fg", foreground_mass=0.8)
    _, embeddings, mask = method._teach(torch.cat(batch.views[:2]), 2)
    method(batch, 0)
    assert method.queue is not None
    assert mask is not None
    for view in range(2):
        stored = method.queue.features[view, : int(method.queue.stored[view])]
        assert len(stored) > 5
        distances = torch.cdist(stored, embeddings[view][mask[view]]).min(dim=1).values
        assert distances.max() < 1e-3


def test_the_queue_survives_in_the_state_dict(batch):
    method = queued()
    for step in range(2):
        method(batch, step)
    copy = queued()
    copy.load_state_dict(method.state_dict())
    torch.testing.assert_close(copy(batch, 2).loss, method(batch, 2).loss, rtol=0, atol=0)


def test_a_frozen_part_stays_out_of_the_training(batch):
    method = Leopart(tiny_clusterer(depth=3), LeopartSettings(trained_blocks=1, **NO_QUEUE))
    method(batch, 0).loss.backward()
    trained = {n for n, p in method.student.named_parameters() if p.requires_grad}
    vit = {name.removeprefix("backbone.vit.") for name in trained if name.startswith("backbone")}
    assert {name.split(".")[0] for name in vit} == {"blocks", "norm"}
    assert all(name.startswith(("blocks.2.", "norm.")) for name in vit)
    assert {name.split(".")[0] for name in trained} == {"backbone", "projection", "prototypes"}
    for name, parameter in method.student.named_parameters():
        assert (parameter.grad is not None) == (name in trained), name
    check_parameter_groups(method, method.parameter_groups())


def test_more_blocks_than_there_are():
    with pytest.raises(ValueError, match=r"trained_blocks.*4"):
        Leopart(tiny_clusterer(depth=3), LeopartSettings(trained_blocks=4, **NO_QUEUE))


def test_every_trained_parameter_is_in_one_group_with_its_rate():
    method = leopart(backbone_learning_rate=2.0, head_learning_rate=3.0)
    groups = method.parameter_groups()
    check_parameter_groups(method, groups)
    rates = {group.name: (group.learning_rate, group.decayed) for group in groups}
    assert rates == {
        "backbone": (2.0, True),
        "backbone_no_decay": (2.0, False),
        "head": (3.0, True),
        "head_no_decay": (3.0, False),
    }
    head = next(group for group in groups if group.name == "head")
    assert any(p is method.student.prototypes.weight for p in head.parameters)


def short_training(sinkhorn_iterations: int) -> dict[str, float]:
    """Logs of the last of 41 steps on four images at a high learning rate."""
    images = patchy_images(4)
    batches = [view_batch(images, seed, sizes=(32, 16)) for seed in range(8)]
    settings = LeopartSettings(
        sinkhorn_iterations=sinkhorn_iterations, foreground="all", warning_every=40, **NO_QUEUE
    )
    method = Leopart(tiny_clusterer(num_prototypes=8), settings).train()
    optimizer = torch.optim.AdamW(method.student.parameters(), lr=3e-3)
    logs = {}
    for step in range(41):
        method.before_step(step)
        output = method(batches[step % 8], step)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        method.after_step(step, 0.5)
        logs = {name: float(value) for name, value in output.logs.items()}
    return logs


def test_training_without_equal_masses_collapses_and_says_so(caplog):
    logs = short_training(sinkhorn_iterations=0)
    assert logs["prototypes_used"] == 1
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("step 40: few prototypes take all patches: entropy of their use 0.0")
    assert "2.079" in warning


def test_training_with_equal_masses_uses_every_prototype(caplog):
    logs = short_training(sinkhorn_iterations=3)
    assert logs["prototypes_used"] == 8
    assert logs["usage_entropy"] == pytest.approx(math.log(8), rel=0.01)
    assert caplog.text == ""


def test_a_foreground_needs_cls_attention():
    student = tiny_clusterer(class_token=False)
    message = "foreground=fg: tiny has no CLS attention: .*; or set foreground=all"
    with pytest.raises(ValueError, match=message):
        Leopart(student, LeopartSettings(**NO_QUEUE))
    Leopart(student, LeopartSettings(foreground="all", **NO_QUEUE))


def test_projection_and_prototypes_must_fit():
    network: Any = tiny_clusterer()
    with pytest.raises(ValueError, match="prototypes"):
        PatchClusterer(network.backbone, network.projection, Prototypes(7, 5))


def test_scores_of_views_keep_the_order_of_views_of_mixed_sizes():
    network = tiny_clusterer()
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(2, 3, side, side, generator=generator) for side in (32, 16, 32, 24)]
    for scores, view in zip(network.scores_of_views(views), views, strict=True):
        torch.testing.assert_close(scores, scores_by_hand(network, view), rtol=1e-4, atol=1e-5)


def test_a_student_that_is_pulled_settles_near_its_teacher():
    method = leopart(pull_to_teacher=0.25)
    teacher = [p.detach().clone() for p in method.teacher.parameters()]
    student = [p.detach().clone() for p in method.student.parameters()]
    method.after_step(0, momentum=1.0)
    for now, was, goal in zip(method.student.parameters(), student, teacher, strict=True):
        torch.testing.assert_close(now, 0.75 * was + 0.25 * goal)
    for now, was in zip(method.teacher.parameters(), teacher, strict=True):
        torch.testing.assert_close(now, was)
