"""DINO: predict what a slow copy of the network says about other views of the image.

Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021; centring by
Sinkhorn-Knopp: Oquab et al., "DINOv2", TMLR 2024, section 4.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.clustering import sinkhorn_knopp
from leopart_kit.losses import across_views_cross_entropy, centred_targets, mean_scores
from leopart_kit.methods.ema import start_statistics, update_ema
from leopart_kit.methods.image_clusterer import ImageClusterer
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput
from leopart_kit.methods.world import process_group

Centring = Literal["mean", "sinkhorn"]


@dataclass(frozen=True)
class DINOSettings:
    """The numbers of the method; the defaults are the paper's, without what it does in epochs.

    Attributes:
        num_global: views that the teacher sees; they come first.
        learning_rate: peak of its schedule.
        student_temperature: of the student's softmax.
        teacher_temperature, final_teacher_temperature: of the teacher's softmax, rising linearly
            over the first `temperature_warmup_steps` steps.
        centring: what keeps one output from winning everywhere: `mean` takes off a running mean of
            the teacher's scores; `sinkhorn` gives every output the same share of each batch, as
            DINOv2 does, and suits small batches and short trainings.
        centre_momentum: what the running mean keeps of itself at each batch.
        frozen_last_layer_steps: steps at the start in which the last layer does not move.
    """

    num_global: int = 2
    learning_rate: float = 5e-4
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    final_teacher_temperature: float = 0.07
    temperature_warmup_steps: int = 0
    centring: Centring = "mean"
    centre_momentum: float = 0.9
    frozen_last_layer_steps: int = 0

    def __post_init__(self) -> None:
        if self.num_global < 1:
            raise ValueError(f"num_global must be at least 1, got {self.num_global}")
        if self.centring not in get_args(Centring):
            raise ValueError(f"centring {self.centring!r}: choose mean or sinkhorn")
        temperatures = (
            self.student_temperature,
            self.teacher_temperature,
            self.final_teacher_temperature,
        )
        if min(temperatures) <= 0:
            raise ValueError(f"temperatures must be above 0, got {temperatures}")
        if not 0 <= self.centre_momentum <= 1:
            raise ValueError(f"centre_momentum must lie in [0, 1], got {self.centre_momentum}")

    def teacher_temperature_at(self, step: int) -> float:
        """The teacher's temperature in optimiser step `step`, from 0."""
        if step >= self.temperature_warmup_steps:
            return self.final_teacher_temperature
        share = step / self.temperature_warmup_steps
        rise = self.final_teacher_temperature - self.teacher_temperature
        return self.teacher_temperature + share * rise


class DINO(Method):
    """Student and teacher of one architecture; the teacher is what the training is for.

    The weight-normalised last layer is a layer of prototypes: unit vectors, without bias.

    Args:
        student: trained in place.
        settings: the method's numbers.
    """

    centre: Tensor  # [K]

    def __init__(self, student: ImageClusterer, settings: DINOSettings) -> None:
        super().__init__()
        self.settings = settings
        self.student = student
        # Stochastic depth is the student's alone; a teacher in eval mode has none.
        self.teacher = copy.deepcopy(student).requires_grad_(False)
        self.register_buffer("centre", torch.zeros(len(student.prototypes.weight)))

    @property
    def encoder(self) -> Encoder:
        """See `Method.encoder`: the teacher's, as in the paper (section 3.1)."""
        return self.teacher.backbone

    def train(self, mode: bool = True) -> DINO:
        """The teacher stays in eval mode, see `update_ema`."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds V views `[B, 3, s_v, s_v]`."""
        settings = self.settings
        temperature = settings.teacher_temperature_at(step)
        if step == 0:
            global_views = batch[: settings.num_global]
            start_statistics(
                self.teacher, self.student, lambda: self._scores(self.student, global_views)
            )
        with torch.no_grad():
            taught = torch.stack(self._scores(self.teacher, batch[: settings.num_global]))
        targets = self._targets(taught, temperature)
        scores = self._scores(self.student, batch)
        loss = across_views_cross_entropy(targets, scores, settings.student_temperature)
        entropy = torch.special.entr(targets).sum(dim=-1).mean()
        usage = torch.special.entr(targets.flatten(0, 1).mean(dim=0)).sum()
        logs = {
            "target_entropy": entropy,
            "usage_entropy": usage,
            "teacher_temperature": temperature,
        }
        return StepOutput(loss, logs)

    @staticmethod
    def _scores(network: ImageClusterer, views: Any) -> list[Tensor]:
        return [scores[:, 0, 0] for scores in network.scores_of_views(views)]

    def _targets(self, teacher_scores: Tensor, temperature: float) -> Tensor:
        """Distributions of the teacher, `[G, B, K]` → the same; the running mean moves on."""
        if self.settings.centring == "sinkhorn":
            rows = teacher_scores.flatten(0, 1)
            plan = sinkhorn_knopp(rows, temperature, process_group=process_group())
            return plan.view_as(teacher_scores)
        targets = centred_targets(teacher_scores, self.centre, temperature)
        batch = mean_scores(teacher_scores, process_group())
        self.centre = torch.lerp(batch, self.centre, self.settings.centre_momentum)
        return targets

    def parameter_groups(self) -> list[ParameterGroup]:
        """Backbone and head of the student, each with and without weight decay."""
        rate = self.settings.learning_rate
        return self.student.parameter_groups(rate, rate)

    def before_step(self, step: int) -> None:
        """The last layer's weights are unit vectors before each step; at first they stand still."""
        for network in (self.student, self.teacher):
            network.prototypes.normalize_()
        self.student.prototypes.hold_still(step < self.settings.frozen_last_layer_steps)

    def started_anew(self, step: int) -> list[nn.Parameter]:
        """The last layer, once it is let go."""
        let_go = step == self.settings.frozen_last_layer_steps
        return [self.student.prototypes.weight] if let_go else []

    def after_step(self, step: int, momentum: float) -> None:
        """The teacher follows the student."""
        update_ema(self.teacher, self.student, momentum)
