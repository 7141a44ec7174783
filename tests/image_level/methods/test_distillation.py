"""A student that follows its teacher on crops."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from leopart_kit.backbones import Encoder
from leopart_kit.image_level.methods.distillation import (
    Distillation,
    DistillationSettings,
    Teacher,
    TeacherSettings,
    cutmix,
)
from leopart_kit.image_level.networks.image_classifier import ImageClassifier
from leopart_kit.losses.distillation import distillation_loss

FILES = TeacherSettings(name="vits16", weights="backbone.safetensors", head="head.safetensors")
UNMIXED = DistillationSettings(teacher=FILES, cutmix=0.0, temperature=3.0, learning_rate=0.1)


def classifier(seed: int) -> ImageClassifier:
    torch.manual_seed(seed)
    backbone = Encoder.from_module(nn.Conv2d(3, 6, 8, stride=8), patch_size=8, embed_dim=6)
    made = ImageClassifier(backbone, 4)
    nn.init.normal_(made.linear.weight)
    return made


def test_the_loss_is_that_of_both_answers():
    student, teacher = classifier(0), classifier(1)
    method = Distillation(student, teacher, UNMIXED).train()
    assert not teacher.training, "batch statistics must not reach the teacher's answers"
    images = torch.randn(5, 3, 16, 16)
    output = method([images], step=0)
    expected = distillation_loss(student(images), teacher(images), 3.0)
    torch.testing.assert_close(output.loss, expected)
    assert 0 <= output.logs["agreement"] <= 1
    assert method.encoder is student.backbone


def test_a_teacher_sees_the_pixels_in_its_own_normalisation():
    student, trained = classifier(0), classifier(1)
    trained.backbone.mean, trained.backbone.std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    pixels = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
    teacher = Teacher(trained.eval(), student.backbone)
    answers = teacher(student.backbone.preprocess(pixels))
    torch.testing.assert_close(answers, trained(trained.backbone.preprocess(pixels)))


def test_only_the_student_is_trained_and_comes_to_agree():
    student, teacher = classifier(0), classifier(1)
    method = Distillation(student, teacher, UNMIXED)
    groups = method.parameter_groups()
    grouped = {id(p) for group in groups for p in group.parameters}
    assert grouped == {id(p) for p in student.parameters()}
    before = teacher.linear.weight.clone()
    optimizer = torch.optim.Adam([p for g in groups for p in g.parameters], lr=0.02)
    images = torch.randn(64, 3, 8, 8)
    losses = []
    method.train()
    for step in range(80):
        output = method([images], step)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        losses.append(output.loss.item())
    assert losses[-1] < 0.2 * losses[0]
    assert torch.equal(teacher.linear.weight, before)


def test_a_mixed_image_holds_one_box_of_another():
    images = torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 3, 12, 10)
    for seed in range(20):
        mixed = cutmix(images, torch.Generator().manual_seed(seed))
        changed = (mixed != images).any(dim=1)
        for index in range(6):
            rows, columns = changed[index].any(dim=1), changed[index].any(dim=0)
            assert changed[index].sum() == rows.sum() * columns.sum(), "one rectangle"
            assert len(mixed[index].unique()) <= 2
    assert torch.equal(images[:, 0, 0, 0], torch.arange(6.0)), "the batch itself stays"


def test_both_see_the_mixed_images():
    seen = []

    class Teacher(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return images.mean(dim=(2, 3))[:, :1].expand(-1, 4)

    method = Distillation(classifier(0), Teacher(), DistillationSettings(teacher=FILES, cutmix=1.0))
    images = torch.randn(8, 3, 16, 16)
    method([images], step=0)
    assert not torch.equal(seen[0], images)


def test_a_new_classifier_favours_no_class_and_standardises():
    torch.manual_seed(0)
    backbone = Encoder.from_module(nn.Conv2d(3, 6, 8, stride=8), patch_size=8, embed_dim=6)
    made = ImageClassifier(backbone, 4).train()
    images = torch.randn(10, 3, 8, 8)
    assert torch.equal(made(images), torch.zeros(10, 4))
    vectors = backbone.cls_token(images)
    standard = (vectors - vectors.mean(0)) / (vectors.var(0, unbiased=False) + 1e-5).sqrt()
    nn.init.normal_(made.linear.weight)
    expected = F.linear(standard, made.linear.weight)
    torch.testing.assert_close(made(images), expected, atol=1e-5, rtol=1e-4)
