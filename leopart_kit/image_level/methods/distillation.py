"""Distillation from one image: a student learns a teacher's answers on nothing but crops.

Asano & Saeed, "The Augmented Image Prior: Distilling 1000 Classes by Extrapolating from a Single
Image", ICLR 2023. The data are crops of one photograph (`data.single_image`), which show none of
the classes. The teacher's soft answers on them still teach the student where its borders lie.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings
from leopart_kit.image_level.networks.image_classifier import ImageClassifier, load_classifier
from leopart_kit.losses.distillation import distillation_loss
from leopart_kit.methods.building import Built, Parts, TrainingDefaults, check_patches
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.outside_graphs import outside_graphs
from leopart_kit.settings import PathText, Positive, Probability, Text, settings


class Teacher(nn.Module):
    """A classifier that answers images normalised for another encoder.

    Args:
        classifier: frozen, in evaluation mode.
        student: the encoder whose normalisation the images have.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, classifier: ImageClassifier, student: Encoder) -> None:
        super().__init__()
        self.classifier = classifier
        own = classifier.backbone
        mean, std, own_mean, own_std = (
            torch.tensor(values).view(1, 3, 1, 1)
            for values in (student.mean, student.std, own.mean, own.std)
        )
        self.register_buffer("scale", std / own_std)
        self.register_buffer("shift", (mean - own_mean) / own_std)

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, 3, H, W]` → logits `[B, C]`."""
        return self.classifier(images * self.scale + self.shift)


class Distillation(Method):
    """A student classifier that follows a frozen teacher.

    Args:
        student: trained in place; its backbone is what the training is for.
        teacher: images `[B, 3, H, W]` as the student sees them → logits `[B, C]`, of as many
            classes as the student's; see `Teacher`.
        settings: the method's numbers.
    """

    def __init__(
        self, student: ImageClassifier, teacher: nn.Module, settings: DistillationSettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.student = student
        self.teacher = teacher.requires_grad_(False).eval()

    @property
    def encoder(self) -> Encoder:
        """See `Method.encoder`: the student's backbone."""
        return self.student.backbone

    def train(self, mode: bool = True) -> Distillation:
        """The teacher stays in evaluation mode: its answers do not depend on the batch."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds V views `[B, 3, s, s]`."""
        images = self._mixed_now_and_then(torch.cat(list(batch)))
        with torch.no_grad():
            teacher = self.teacher(images)
        student = self.student(images)
        loss = distillation_loss(student, teacher, self.settings.temperature)
        agreement = (student.detach().argmax(dim=1) == teacher.argmax(dim=1)).float().mean()
        return StepOutput(loss, {"agreement": agreement})

    @outside_graphs  # draws on the host
    def _mixed_now_and_then(self, images: Tensor) -> Tensor:
        mixed = self.settings.cutmix and torch.rand(()).item() < self.settings.cutmix
        return cutmix(images) if mixed else images

    def parameter_groups(self) -> list[ParameterGroup]:
        """The student, with and without weight decay."""
        return split_by_decay("student", self.student, self.settings.learning_rate)


def cutmix(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Every image with a box of another image of the batch pasted at the same place.

    The box has one place for the whole batch; its share of the area is uniform in [0, 1]. Targets
    need no mixing here, since the teacher answers the mixed image.

    Args:
        images: `[B, 3, H, W]`.
        generator: source of the draws; None for torch's global one.

    Source: Yun et al. (CutMix), ICCV 2019.
    """
    height, width = images.shape[-2:]
    share, x, y = torch.rand(3, generator=generator).tolist()
    box_height, box_width = round(height * share**0.5), round(width * share**0.5)
    top, left = round(y * (height - box_height)), round(x * (width - box_width))
    others = torch.randperm(len(images), generator=generator)
    others = others.to(images.device, non_blocking=True)
    mixed = images.clone()
    rows, columns = slice(top, top + box_height), slice(left, left + box_width)
    mixed[..., rows, columns] = images[others][..., rows, columns]
    return mixed


@settings
class TeacherSettings(EncoderSettings):
    """A fine-tuned classifier: `leopart image protocol.evaluations=[fine_tuning]` leaves both
    files in OUT/fine_tuned."""

    name: Text
    """The encoder that was fine-tuned."""
    weights: PathText = Field(kw_only=True)
    """OUT/fine_tuned/backbone.safetensors."""
    head: PathText = Field(kw_only=True)
    """OUT/fine_tuned/head.safetensors."""

    def load_classifier(self) -> ImageClassifier:
        """The backbone with its head; raises as `load_encoder` and `load_classifier`."""
        return load_classifier(self.load(), Path(self.head).expanduser())


@settings
class DistillationSettings(ImageMethodSettings):
    """Settings of distillation, meant for dataset=single_image and encoder.weights=random.

    The views' size is that at which the teacher was fine-tuned.
    """

    teacher: TeacherSettings = Field(kw_only=True)
    """The trained classifier."""
    temperature: Positive = 8.0
    """Of both softmaxes."""
    cutmix: Probability = 0.5
    """Of exchanging boxes of a batch's images."""
    training: TrainingDefaults = TrainingDefaults(
        epochs=100, weight_decay=1e-4, final_weight_decay=1e-4
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`; raises as `TeacherSettings.load_classifier`."""
        views = self.random_views(parts)
        classifier = self.teacher.load_classifier()
        for view in views.views:
            check_patches({"method.views.image.size": view.side}, classifier.backbone)
        student = ImageClassifier(parts.encoder, classifier.linear.out_features)
        method = Distillation(student, Teacher(classifier, parts.encoder), self)
        return Built(method, ImagesOf(parts.dataset), views)


PART = DistillationSettings
