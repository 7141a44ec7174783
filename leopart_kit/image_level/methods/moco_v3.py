"""MoCo v3: predict the slow copy's view of the image; negatives are the rest of the batch.

Chen, Xie & He, "An Empirical Study of Training Self-Supervised Vision Transformers", ICCV 2021.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.data import ViewSettings
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings, kinds
from leopart_kit.losses import batch_info_nce
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.ema import start_statistics, update_ema
from leopart_kit.methods.gram_anchor import GramSettings
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.projection_head import ProjectionHead, mlp
from leopart_kit.methods.world import process_group
from leopart_kit.settings import Count, NotNegative, Positive, settings


class MoCoV3(Method):
    """Encoder, projector and predictor; a moving average of the first two gives the keys.

    Batch norm follows every layer of projector and predictor, the last ones too (section 4.1).

    Args:
        encoder: trained in place.
        settings: the method's numbers.

    Raises:
        ValueError: a frozen patch embedding of a network that has none.
    """

    def __init__(self, encoder: Encoder, settings: MoCoV3Settings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or MoCoV3Settings()
        if settings.frozen_patch_embedding:
            vit = getattr(encoder, "vit", None)
            if vit is None:
                raise ValueError(
                    f"{encoder.name} has no patch embedding to freeze; set "
                    "frozen_patch_embedding=false"
                )
            vit.patch_embed.requires_grad_(False)
        self.encoder = encoder
        self.projector = mlp(
            encoder.embed_dim,
            settings.hidden_dim,
            settings.out_dim,
            batch_norm=True,
            activation="relu",
            output_norm=True,
        )
        self.predictor = ProjectionHead(
            settings.out_dim,
            settings.hidden_dim,
            settings.out_dim,
            num_layers=2,
            batch_norm=True,
            activation="relu",
            output_norm=True,
        )
        self.momentum_encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.momentum_projector: nn.Module = copy.deepcopy(self.projector).requires_grad_(False)
        self.gram = settings.gram_anchor(encoder)

    def train(self, mode: bool = True) -> MoCoV3:
        """The momentum encoder stays in eval mode, see `update_ema`."""
        super().train(mode)
        self.momentum_encoder.eval()
        self.momentum_projector.eval()
        return self

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds two views `[B, 3, s, s]`."""
        images = torch.cat(list(batch))
        if step == 0:
            student = nn.ModuleList([self.encoder, self.projector])
            copies = nn.ModuleList([self.momentum_encoder, self.momentum_projector])
            start_statistics(
                copies, student, lambda: self.projector(self.encoder.cls_token(images))
            )
        own, tokens = self.encoder.cls_and_patches(images)
        queries = self.predictor(self.projector(own)).chunk(2)
        with torch.no_grad():
            slow, known = self.momentum_encoder.cls_and_patches(images)
            keys = self.momentum_projector(slow).chunk(2)
        group, temperature = process_group(), self.settings.temperature
        losses = [batch_info_nce(queries[v], keys[1 - v], temperature, group) for v in (0, 1)]
        # The factor keeps the gradient's size from depending on the temperature (algorithm 1).
        loss = 2 * temperature * torch.stack(losses).sum()
        logs: dict[str, Tensor | float] = {"cross_entropy": torch.stack(losses).detach().mean()}
        if self.gram is not None:
            term = self.gram([tokens], [images], known)
            loss, logs["gram"] = loss + term, term.detach()
        return StepOutput(loss, logs)

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.settings.learning_rate)

    def before_step(self, step: int) -> None:
        """The teacher of Gram anchoring is renewed where that is due."""
        if self.gram is not None:
            self.gram.renew(step, self.momentum_encoder)

    def after_step(self, step: int, momentum: float) -> None:
        """The momentum encoder and its projector follow."""
        update_ema(self.momentum_encoder, self.encoder, momentum)
        update_ema(self.momentum_projector, self.projector, momentum)


@settings
class MoCoV3Settings(ImageMethodSettings, GramSettings):
    """Settings of MoCo v3 for ViTs; the paper's rate is for each 256 of a batch of 4,096."""

    num_views: ClassVar[int | None] = 2

    learning_rate: NotNegative = 1.5e-4
    temperature: Positive = 0.2
    """Of the softmax over cosine similarities."""
    hidden_dim: Count = 4096
    """Of projector, three layers, and predictor, two."""
    out_dim: Count = 256
    """Of the embeddings."""
    frozen_patch_embedding: bool = True
    """Leave a ViT's patch projection at its random weights, which made training stable (section
    4.2); false for other networks."""
    views: dict[str, ViewSettings] = kinds(
        first=ViewSettings(jitter=0.5, grey_probability=0.2, blur_probability=1.0),
        second=ViewSettings(
            jitter=0.5, grey_probability=0.2, blur_probability=0.1, solarise_probability=0.2
        ),
    )
    training: TrainingDefaults = TrainingDefaults(
        epochs=300, weight_decay=0.1, final_weight_decay=0.1, momentum=0.99
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts)
        return Built(MoCoV3(parts.encoder, self), ImagesOf(parts.dataset), views)


PART = MoCoV3Settings
