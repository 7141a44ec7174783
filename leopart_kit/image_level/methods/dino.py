"""DINO: predict what a slow copy of the network says about other views of the image.

Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021; centring by
Sinkhorn-Knopp: Oquab et al., "DINOv2", TMLR 2024, section 4.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.clustering import sinkhorn_knopp
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.data import ViewSettings
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings, kinds
from leopart_kit.image_level.networks.image_clusterer import ImageClusterer
from leopart_kit.losses import across_views_cross_entropy, centred_targets, mean_scores
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.ema import start_statistics, update_ema
from leopart_kit.methods.gram_anchor import GramSettings
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput
from leopart_kit.methods.projection_head import ProjectionHead, Prototypes
from leopart_kit.methods.world import process_group
from leopart_kit.settings import (
    Count,
    DropRate,
    NotNegative,
    Positive,
    Probability,
    ShareRange,
    settings,
)


class DINO(Method):
    """Student and teacher of one architecture; the teacher is what the training is for.

    The weight-normalised last layer is a layer of prototypes: unit vectors, without bias.

    Args:
        student: trained in place.
        settings: the method's numbers.
        num_global: views that the teacher sees; they come first.
        warmup_steps: steps over which the teacher's temperature rises.
        frozen_steps: steps at the start in which the last layer does not move.
    """

    centre: Tensor  # [K]

    def __init__(
        self,
        student: ImageClusterer,
        settings: DINOSettings | None = None,
        *,
        num_global: int = 2,
        warmup_steps: int = 0,
        frozen_steps: int = 0,
    ) -> None:
        super().__init__()
        self.settings = settings or DINOSettings()
        self.num_global = num_global
        self.warmup_steps, self.frozen_steps = warmup_steps, frozen_steps
        self.student = student
        # Stochastic depth is the student's alone; a teacher in eval mode has none.
        self.teacher = copy.deepcopy(student).requires_grad_(False)
        self.gram = self.settings.gram_anchor(student.backbone)
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
        temperature, global_views = self.teacher_temperature(step), batch[: self.num_global]
        if step == 0:
            start_statistics(
                self.teacher, self.student, lambda: self.student.scores_of_views(global_views)
            )
        with torch.no_grad():
            taught, known = self.teacher.scores_and_tokens(global_views)
        targets = self._targets(torch.stack(taught), temperature)
        scores, tokens = self.student.scores_and_tokens(batch)
        loss = across_views_cross_entropy(targets, scores, self.settings.student_temperature)
        entropy = torch.special.entr(targets).sum(dim=-1).mean()
        usage = torch.special.entr(targets.flatten(0, 1).mean(dim=0)).sum()
        logs: dict[str, Tensor | float] = {
            "target_entropy": entropy,
            "usage_entropy": usage,
            "teacher_temperature": temperature,
        }
        if self.gram is not None:
            alike = [maps for maps in known if maps.shape == known[0].shape]
            term = self.gram(tokens, batch, torch.cat(alike))
            loss, logs["gram"] = loss + term, term.detach()
        return StepOutput(loss, logs)

    def teacher_temperature(self, step: int) -> float:
        """The teacher's temperature in optimiser step `step`, from 0: a linear rise."""
        used = self.settings
        return self.warmed(step, used.teacher_temperature, used.final_teacher_temperature)

    def warmed(self, step: int, start: float, end: float) -> float:
        """The point of a linear rise in optimiser step `step`, from 0."""
        if step >= self.warmup_steps:
            return end
        return start + step / self.warmup_steps * (end - start)

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
        """The last layer's weights are unit vectors before each step; at first they stand still.

        The teacher of Gram anchoring is renewed where that is due.
        """
        for network in (self.student, self.teacher):
            network.prototypes.normalize_()
        self.student.prototypes.hold_still(step < self.frozen_steps)
        if self.gram is not None:
            self.gram.renew(step, self.teacher.backbone)

    def started_anew(self, step: int) -> list[nn.Parameter]:
        """The last layer, once it is let go."""
        return [self.student.prototypes.weight] if step == self.frozen_steps else []

    def after_step(self, step: int, momentum: float) -> None:
        """The teacher follows the student."""
        update_ema(self.teacher, self.student, momentum)


# The paper's jitter of saturation is 0.2, here 0.4.
VIEWS = {
    "first": ViewSettings(
        scale=(0.25, 1.0), jitter=0.5, grey_probability=0.2, blur_probability=1.0
    ),
    "second": ViewSettings(
        scale=(0.25, 1.0),
        jitter=0.5,
        grey_probability=0.2,
        blur_probability=0.1,
        solarise_probability=0.2,
    ),
    "local": ViewSettings(
        count=8, scale=(0.05, 0.25), jitter=0.5, grey_probability=0.2, blur_probability=0.5
    ),
}
"""Views of DINO, by kind; iBOT has two local ones more."""


@settings
class DINOSettings(ImageMethodSettings, GramSettings):
    """Settings of DINO; the paper's rate is for each 256 of a batch."""

    drop_path: DropRate = 0.1
    """Stochastic depth of a vision transformer's last block, rising from 0; 0 for other
    networks."""
    learning_rate: NotNegative = 5e-4
    num_outputs: Count = 65536
    """Outputs of the last layer."""
    hidden_dim: Count = 2048
    """Of the projection head, three layers."""
    out_dim: Count = 256
    """Its bottleneck before the last layer."""
    head_batch_norm: bool = False
    """In the projection head: for batches and trainings far below the paper's."""
    student_temperature: Positive = 0.1
    """Of the student's softmax."""
    teacher_temperature: Positive = 0.04
    """Of the teacher's softmax, at the start."""
    final_teacher_temperature: Positive = 0.07
    """Of the teacher's softmax, after its linear rise."""
    temperature_warmup_epochs: NotNegative = 30
    """Passes over the images in which it rises."""
    centring: Literal["mean", "sinkhorn"] = "mean"
    """Guard against one output that wins everywhere: mean, the teacher's scores less their running
    mean; sinkhorn, equal shares of each batch, as DINOv2, for small batches."""
    centre_momentum: Probability = 0.9
    """Of the running mean."""
    frozen_last_layer_epochs: NotNegative = 1
    """Passes over the images at the start in which the last layer does not move."""
    region: ShareRange = (1.0, 1.0)
    """`[low, high]` of the image's share in which all its views lie; scenes of many objects need
    less than 1."""
    views: dict[str, ViewSettings] = kinds(**VIEWS)
    training: TrainingDefaults = TrainingDefaults(
        epochs=100, weight_decay=0.04, final_weight_decay=0.4, momentum=0.996
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts, self.region)
        student = ImageClusterer(parts.encoder, *self.head(parts))
        method = DINO(student, self, **self.schedule(parts))
        return Built(method, ImagesOf(parts.dataset), views)

    def head(self, parts: Parts) -> tuple[ProjectionHead, Prototypes]:
        """Projection and last layer for the encoder."""
        projection = ProjectionHead(
            parts.encoder.embed_dim, self.hidden_dim, self.out_dim, batch_norm=self.head_batch_norm
        )
        return projection, Prototypes(self.out_dim, self.num_outputs)

    def schedule(self, parts: Parts) -> dict[str, int]:
        """Arguments of the method that are counted in views and steps."""
        return {
            "num_global": self.num_targets(),
            "warmup_steps": parts.steps(self.temperature_warmup_epochs),
            "frozen_steps": parts.steps(self.frozen_last_layer_epochs),
        }


PART = DINOSettings
