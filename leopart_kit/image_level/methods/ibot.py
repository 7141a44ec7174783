"""iBOT: DINO that also predicts the teacher's patches where the student's are masked.

Zhou et al., "Image BERT Pre-Training with Online Tokenizer", ICLR 2022.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.vit import ViTEncoder
from leopart_kit.data import ImagesOf
from leopart_kit.data.image_files import LeastImage
from leopart_kit.image_level.data import ViewSettings
from leopart_kit.image_level.methods.block_mask import block_mask
from leopart_kit.image_level.methods.dino import DINO, VIEWS, DINOSettings
from leopart_kit.image_level.methods.drawn_views import LOCAL, kinds
from leopart_kit.image_level.networks.image_clusterer import ImageClusterer
from leopart_kit.losses import ibot_loss, mean_scores
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.ema import start_statistics
from leopart_kit.methods.method import ParameterGroup, StepOutput
from leopart_kit.methods.projection_head import LinearProjection, ProjectionHead, Prototypes
from leopart_kit.methods.world import process_group
from leopart_kit.settings import Count, Positive, Probability, ShareRange, settings


class Masked(NamedTuple):
    """Scores of CLS `[B, K]` and patches `[B, h · w, K]`, and the patch tokens `[B, D, h, w]`."""

    cls: Tensor
    patches: Tensor
    tokens: Tensor


class MaskedClusterer(ImageClusterer):
    """A vision transformer whose CLS and patch tokens share one head; patches may be masked.

    Raises:
        ValueError: a backbone that is no vision transformer with a CLS token.
    """

    backbone: ViTEncoder  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        backbone: Encoder,
        projection: ProjectionHead | LinearProjection,
        prototypes: Prototypes,
    ) -> None:
        if not isinstance(backbone, ViTEncoder) or not backbone.has_cls:
            raise ValueError(
                f"ibot masks patches of a vision transformer with a CLS token, and {backbone.name} "
                "is none; choose another encoder, such as vits16"
            )
        super().__init__(backbone, projection, prototypes)
        self.mask_token = nn.Parameter(torch.zeros(backbone.vit.embed_dim))

    def parameter_groups(self, backbone_rate: float, head_rate: float) -> list[ParameterGroup]:
        """As of every clusterer, and the mask token, which is not decayed."""
        token = ParameterGroup("mask_token", [self.mask_token], backbone_rate, decayed=False)
        return [*super().parameter_groups(backbone_rate, head_rate), token]

    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        """What the network says of images of which patches are hidden; bool mask `[B, h, w]`."""
        cls, patches = self.backbone.masked_tokens(images, mask, self.mask_token)
        scores = self.scores(self.projection(torch.cat([cls[:, None], patches], dim=1)))
        maps = patches.transpose(1, 2).unflatten(2, mask.shape[1:])
        return Masked(scores[:, 0], scores[:, 1:], maps)


class IBOT(DINO):
    """Student and teacher as DINO's, with a second term on masked patches.

    Arguments as of `DINO`; the student is a `MaskedClusterer`.
    """

    student: MaskedClusterer  # pyright: ignore[reportIncompatibleVariableOverride]
    teacher: MaskedClusterer  # pyright: ignore[reportIncompatibleVariableOverride]
    centre_patches: Tensor  # [K]

    def __init__(self, student: MaskedClusterer, settings: IBOTSettings, **options: Any) -> None:
        super().__init__(student, settings, **options)
        self.ibot = settings
        self.register_buffer("centre_patches", torch.zeros_like(self.centre))

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds views `[B, 3, s_v, s_v]` and masks `[B, G, h, w]`."""
        *views, masks = batch
        mask = masks.transpose(0, 1)  # [G, B, h, w]
        whole = torch.cat(views[: self.num_global])
        hidden, none = mask.flatten(0, 1), torch.zeros_like(mask.flatten(0, 1))
        if step == 0:
            start_statistics(self.teacher, self.student, lambda: self.student.masked(whole, hidden))
        with torch.no_grad():
            taught, taught_patches, known = self.teacher.masked(whole, none)
        scores, patches, tokens = self.student.masked(whole, hidden)
        local = views[self.num_global :]
        of_local = torch.cat(self.student.scores_and_tokens(local)[0]) if local else None
        temperature = self.teacher_temperature(step)
        cls_term, patch_term = ibot_loss(
            scores,
            patches,
            of_local,
            taught,
            taught_patches,
            mask,
            centre_cls=self.centre,
            centre_patches=self.centre_patches,
            student_temperature=self.ibot.student_temperature,
            teacher_temperature=temperature,
            teacher_patch_temperature=self.teacher_patch_temperature(step),
        )
        self._move_centres(taught, taught_patches)
        probabilities = torch.softmax((taught - self.centre) / temperature, dim=-1)
        logs = {
            "cls_term": cls_term.detach(),
            "patch_term": patch_term.detach(),
            "masked_share": mask.float().mean(),
            "usage_entropy": torch.special.entr(probabilities.mean(dim=0)).sum(),
            "target_entropy": torch.special.entr(probabilities).sum(dim=-1).mean(),
        }
        loss = cls_term + patch_term
        if self.gram is not None:
            term = self.gram(tokens.chunk(self.num_global), views[: self.num_global], known)
            loss, logs["gram"] = loss + term, term.detach()
        return StepOutput(loss, logs)

    def teacher_patch_temperature(self, step: int) -> float:
        """As `teacher_temperature`, for patches."""
        used = self.ibot
        return self.warmed(
            step, used.teacher_patch_temperature, used.final_teacher_patch_temperature
        )

    def _move_centres(self, cls: Tensor, patches: Tensor) -> None:
        share, group = self.ibot.centre_momentum, process_group()
        self.centre = torch.lerp(mean_scores(cls, group), self.centre, share)
        self.centre_patches = torch.lerp(mean_scores(patches, group), self.centre_patches, share)


class MaskedViews:
    """Views of an image, then the masks of its global ones, bool `[G, h, w]`.

    Args:
        views: image → list of views, the global ones first.
        grid: rows and columns of patches of a global view.
        num_global: G.
        never: probability that a view is not masked.
        share: lowest and highest share of its patches that is masked otherwise.
    """

    def __init__(
        self,
        views: Any,
        grid: tuple[int, int],
        num_global: int,
        never: float,
        share: tuple[float, float],
    ) -> None:
        self.views, self.grid, self.num_global = views, grid, num_global
        self.never, self.share = never, share

    @property
    def least_image(self) -> LeastImage:
        """As of the views."""
        return self.views.least_image

    def __call__(self, image: Tensor) -> list[Tensor]:
        shares = [
            0.0 if random.random() < self.never else random.uniform(*self.share)
            for _ in range(self.num_global)
        ]
        return [*self.views(image), torch.stack([block_mask(self.grid, s) for s in shares])]


@settings
class IBOTSettings(DINOSettings):
    """Settings of iBOT; the paper's rate is for each 256 of a batch."""

    num_outputs: Count = 8192
    """Outputs of the last layer, which CLS tokens and patches share."""
    teacher_patch_temperature: Positive = 0.04
    """Of the teacher's softmax for patches, at the start."""
    final_teacher_patch_temperature: Positive = 0.07
    """Of the teacher's softmax for patches, after its linear rise."""
    centring: Literal["mean"] = "mean"
    """Guard against one output that wins everywhere: the scores less their running mean."""
    unmasked_share: Probability = 0.5
    """Of the global views: those in which no patch is masked."""
    masked_share: ShareRange = (0.1, 0.5)
    """`[low, high]` share of the patches that is masked in the others, in blocks."""
    views: dict[str, ViewSettings] = kinds(**VIEWS | {LOCAL: replace(VIEWS[LOCAL], count=10)})
    training: TrainingDefaults = TrainingDefaults(
        epochs=800, weight_decay=0.04, final_weight_decay=0.4, momentum=0.996
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        side = self._global_side(parts)
        student = MaskedClusterer(parts.encoder, *self.head(parts))
        method = IBOT(student, self, **self.schedule(parts))
        drawn = self.random_views(parts, self.region)
        rows = side // parts.encoder.patch_size
        views = MaskedViews(
            drawn, (rows, rows), method.num_global, self.unmasked_share, self.masked_share
        )
        return Built(method, ImagesOf(parts.dataset), views)

    def _global_side(self, parts: Parts) -> int:
        kinds = self.sized_views(parts).items()
        sides = {view.side for name, view in kinds if name != LOCAL and view.count}
        if len(sides) > 1:
            raise ValueError(
                f"ibot masks global views of one size: set method.views.*.size alike, got "
                f"{sorted(sides)}"
            )
        return sides.pop()


PART = IBOTSettings
