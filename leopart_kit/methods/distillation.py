"""Distillation from one image: a student learns a teacher's answers on nothing but crops.

Asano & Saeed, "The Augmented Image Prior: Distilling 1000 Classes by Extrapolating from a Single
Image", ICLR 2023. The data are crops of one photograph (`data.single_image`), which show none of
the classes; the teacher's soft answers on them still teach the student where its borders lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.losses.distillation import distillation_loss
from leopart_kit.methods.image_classifier import ImageClassifier
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay


@dataclass(frozen=True)
class DistillationSettings:
    """The numbers of the method.

    Attributes:
        learning_rate: peak of the student's schedule.
        temperature: of both softmaxes, 8 in the paper.
        cutmix: probability that a batch is mixed, see `cutmix`; 0 for never.
    """

    learning_rate: float = 1e-3
    temperature: float = 8.0
    cutmix: float = 0.5

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if not 0 <= self.cutmix <= 1:
            raise ValueError(f"cutmix must lie in [0, 1], got {self.cutmix}")


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
        self,
        student: ImageClassifier,
        teacher: nn.Module,
        settings: DistillationSettings | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or DistillationSettings()
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
        images = torch.cat(list(batch))
        if self.settings.cutmix and torch.rand(()).item() < self.settings.cutmix:
            images = cutmix(images)
        with torch.no_grad():
            teacher = self.teacher(images)
        student = self.student(images)
        loss = distillation_loss(student, teacher, self.settings.temperature)
        agreement = (student.detach().argmax(dim=1) == teacher.argmax(dim=1)).float().mean()
        return StepOutput(loss, {"agreement": agreement})

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
    others = torch.randperm(len(images), generator=generator).to(images.device)
    mixed = images.clone()
    rows, columns = slice(top, top + box_height), slice(left, left + box_width)
    mixed[..., rows, columns] = images[others][..., rows, columns]
    return mixed
