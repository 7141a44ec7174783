"""One step of the anchored variant against the same step worked out from its parts."""

from __future__ import annotations

import logging
import math

import pytest
import torch
from torch.utils.data import default_collate

from leopart_kit.data import AnchoredTransform, AnchoredViews, MultiCropTransform
from leopart_kit.losses import anchored_cross_entropy
from leopart_kit.methods import AnchoredLeopart, AnchoredSettings, TokenAnchor, student_of
from leopart_kit.training.parameter_groups import check_parameter_groups
from tests.methods.tiny_clusterer import patchy_images, tiny_vit

NUM_PROTOTYPES = 5


def image_tokens() -> torch.Tensor:
    """`[3, 6, 6, 24]`: what the encoder makes of three whole images of 48 px."""
    encoder = tiny_vit()
    with torch.no_grad():
        tokens = encoder.patch_tokens(encoder.preprocess(patchy_images(3)))
    return tokens.permute(0, 2, 3, 1)


def anchored(num_prototypes: int = NUM_PROTOTYPES, **settings) -> AnchoredLeopart:
    rows = image_tokens().flatten(0, 2)
    anchor = TokenAnchor.fit(lambda: iter(rows.split(36)), num_prototypes, projection_dim=6)
    own = AnchoredSettings(**{"trained_blocks": None, **settings})
    return AnchoredLeopart(student_of(anchor, tiny_vit()), anchor, own).train()


def anchored_batch(**options) -> AnchoredViews:
    sizes = {"global_size": 48, "local_size": 16, "num_local": 1, **options}
    transform = AnchoredTransform(MultiCropTransform(**sizes, flip_probability=0.5))
    torch.manual_seed(0)
    pairs = zip(patchy_images(3), image_tokens(), strict=True)
    return AnchoredViews(*default_collate([transform(pair) for pair in pairs]))


def test_the_loss_is_that_of_its_parts():
    method, batch = anchored(temperature=0.2), anchored_batch()
    output = method(batch, 0)
    with torch.no_grad():
        scores = [method.student.scores(method.student(view)) for view in batch.views]
        expected = anchored_cross_entropy(method.anchor(batch.tokens), scores, batch.boxes, 0.2)
    torch.testing.assert_close(output.loss, expected, rtol=1e-5, atol=1e-6)
    share = float(output.logs["loss_over_log_prototypes"])
    assert share == pytest.approx(expected.item() / math.log(NUM_PROTOTYPES), rel=1e-5)


def test_the_gradient_reaches_the_whole_student_and_nothing_of_the_anchor():
    method = anchored()
    method(anchored_batch(), 0).loss.backward()
    assert all(p.grad is None for p in method.anchor.parameters())
    without = [n for n, p in method.student.named_parameters() if p.grad is None]
    assert without == []


def test_the_student_starts_in_agreement_with_the_anchor():
    method = anchored()
    for name in ("projection", "prototypes"):
        own, other = getattr(method.student, name), getattr(method.anchor, name)
        for trained, frozen in zip(own.parameters(), other.parameters(), strict=True):
            assert torch.equal(trained, frozen)
            assert trained is not frozen
            assert trained.requires_grad
            assert not frozen.requires_grad
    encoder = tiny_vit()
    images = encoder.preprocess(patchy_images(3))
    with torch.no_grad():
        scores = method.student.scores(method.student(images))
        expected = method.anchor.prototypes(method.anchor.projection(image_tokens()))
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-4)


def test_training_the_student_leaves_the_targets_where_they_are():
    method, batch = anchored(), anchored_batch()
    targets = method.anchor(batch.tokens)
    optimizer = torch.optim.AdamW(
        [p for group in method.parameter_groups() for p in group.parameters], lr=3e-3
    )
    losses = []
    for step in range(15):
        method.before_step(step)
        loss = method(batch, step).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        method.after_step(step, 0.5)
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert torch.equal(method.anchor(batch.tokens), targets)
    method.before_step(15)
    torch.testing.assert_close(
        method.student.prototypes.weight.norm(dim=1), torch.ones(NUM_PROTOTYPES)
    )


def test_state_survives_a_round_trip_into_an_empty_anchor():
    method, batch = anchored(), anchored_batch()
    empty = TokenAnchor.empty(24, NUM_PROTOTYPES, 6, epsilon=0.05)
    other = AnchoredLeopart(student_of(empty, tiny_vit()), empty, method.settings).train()
    assert not torch.isclose(other(batch, 0).loss, method(batch, 0).loss)
    other.load_state_dict(method.state_dict())
    torch.testing.assert_close(other(batch, 0).loss, method(batch, 0).loss, rtol=0, atol=0)


def test_parameter_groups_and_frozen_blocks():
    method = anchored(trained_blocks=1, backbone_learning_rate=2.0, head_learning_rate=3.0)
    groups = method.parameter_groups()
    check_parameter_groups(method, groups)
    assert {g.name: g.learning_rate for g in groups} == {
        "backbone": 2.0,
        "backbone_no_decay": 2.0,
        "head": 3.0,
        "head_no_decay": 3.0,
    }
    names = {n for n, p in method.student.backbone.named_parameters() if p.requires_grad}
    assert all(name.startswith(("vit.blocks.1.", "vit.norm.")) for name in names)


def test_targets_that_are_all_alike_are_told(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    method, batch = anchored(warning_every=10), anchored_batch()
    method(batch, 0)
    assert caplog.text == ""
    method.anchor.potentials[0] = 100.0  # one prototype takes everything
    logs = method(batch, 20).logs
    assert "step 20" in caplog.text
    assert float(logs["prototypes_used"]) == 1
    caplog.clear()
    method(batch, 21)
    assert caplog.text == ""
