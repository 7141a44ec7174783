"""A student and the EMA teacher that follows it: what dense methods have in common."""

from __future__ import annotations

import copy
from typing import Generic, Literal, TypeVar

import torch
from torch import Tensor
from typing_extensions import Self

from leopart_kit.backbones import Encoder
from leopart_kit.methods.ema import update_ema
from leopart_kit.methods.gram_anchor import GramSettings
from leopart_kit.methods.method import Method, ParameterGroup
from leopart_kit.methods.patch_embedder import PatchEmbedder
from leopart_kit.settings import Count, DropRate, NotNegative, settings

Network = TypeVar("Network", bound=PatchEmbedder)


@settings
class StudentTeacherSettings(GramSettings):
    """Settings of methods with an EMA teacher."""

    drop_path: DropRate = 0.1
    """Stochastic depth of the last block, rising from 0."""
    projection: Literal["mlp", "linear"] = "mlp"
    """Layers from tokens to embeddings: mlp, 3 with 2,048 hidden; linear, one."""
    projection_dim: Count = 256
    """Dimensions of the embeddings."""
    separate_heads: bool = False
    """Teacher and student start from different random heads, as released."""
    backbone_learning_rate: NotNegative = 1e-5
    """Peak of the backbone's schedule."""
    head_learning_rate: NotNegative = 1e-4
    """Peak of the head's schedule."""
    trained_blocks: Count | None = None
    """Last blocks that are trained; null: all."""
    ema_before_update: bool = False
    """The teacher follows the student of before the optimiser step, as released."""
    pull_to_teacher: DropRate = 0.0
    """Share of the way back to the teacher that the student goes after each step. With a teacher
    that stands still (momentum 1) the student stays within 1 / pull steps of its start (L2-SP: Li
    et al. 2018)."""
    roi_size: Count = 7
    """Cells a side onto which the overlap of two views is aligned."""
    warning_every: Count = 50
    """Steps between two warnings of collapse."""


class StudentTeacher(Method, Generic[Network]):
    """Student, EMA teacher, and Gram anchoring where it is asked for.

    Args:
        student: trained in place; its backbone is what the training is for.
        settings: the method's numbers.
        teacher: starts as a copy of the student unless given.

    Raises:
        ValueError: more trained blocks than the backbone has.
    """

    def __init__(
        self, student: Network, settings: StudentTeacherSettings, teacher: Network | None = None
    ) -> None:
        super().__init__()
        self.student = student
        self.teacher: Network = copy.deepcopy(student) if teacher is None else teacher
        self.teacher.requires_grad_(False)
        self.gram = settings.gram_anchor(student.backbone)
        student.freeze_below(settings.trained_blocks)
        self._numbers = settings
        self._before_update: list[Tensor] | None = None

    @property
    def encoder(self) -> Encoder:
        """See `Method.encoder`: the student's backbone."""
        return self.student.backbone

    def train(self, mode: bool = True) -> Self:
        """The teacher stays in eval mode: no stochastic depth in the targets."""
        super().train(mode)
        self.teacher.eval()
        return self

    def parameter_groups(self) -> list[ParameterGroup]:
        """Backbone and head, each with and without weight decay."""
        return self.student.parameter_groups(
            self._numbers.backbone_learning_rate, self._numbers.head_learning_rate
        )

    def before_step(self, step: int) -> None:
        """Remember the student where the teacher is to follow the one of before the step."""
        if self.gram is not None:
            self.gram.renew(step, self.teacher.backbone)
        if self._numbers.ema_before_update:
            self._before_update = [p.detach().clone() for p in self.student.parameters()]

    def after_step(self, step: int, momentum: float) -> None:
        """The teacher follows the student; a pull moves the student back towards it."""
        if self._numbers.pull_to_teacher:
            update_ema(self.student, self.teacher, 1 - self._numbers.pull_to_teacher)
        if self._before_update is None:
            update_ema(self.teacher, self.student, momentum)
            return
        with torch.no_grad():
            pairs = zip(self.teacher.parameters(), self._before_update, strict=True)
            for follower, leader in pairs:
                follower.lerp_(leader, 1 - momentum)
