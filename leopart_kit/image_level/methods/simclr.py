"""SimCLR: the two views of an image attract each other, all other images of the batch repel.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.data import ViewSettings
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings, kinds
from leopart_kit.losses import nt_xent
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.projection_head import ProjectionHead
from leopart_kit.methods.world import process_group
from leopart_kit.settings import Count, Positive, settings


class SimCLR(Method):
    """Encoder and projection head under NT-Xent.

    Args:
        encoder: trained in place.
        settings: the method's numbers; the paper's by default.
    """

    def __init__(self, encoder: Encoder, settings: SimCLRSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or SimCLRSettings()
        self.encoder = encoder
        self.projection = ProjectionHead(
            encoder.embed_dim,
            settings.hidden_dim,
            settings.out_dim,
            num_layers=2,
            batch_norm=settings.batch_norm,
            activation="relu",
        )

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds two views `[B, 3, s, s]`."""
        first, second = batch
        embeddings = self.projection(self.encoder.cls_token(torch.cat([first, second])))
        one, two = embeddings.chunk(2)
        loss = nt_xent(one, two, self.settings.temperature, process_group())
        alignment = (one * two).detach().float().sum(dim=1).mean()
        return StepOutput(loss, {"positive_similarity": alignment})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.settings.learning_rate)


@settings
class SimCLRSettings(ImageMethodSettings):
    """Settings of SimCLR; the paper has LARS and batches of 4096, here AdamW."""

    num_views: ClassVar[int | None] = 2

    temperature: Positive = 0.1
    """Of the softmax over cosine similarities."""
    hidden_dim: Count = 2048
    """Of the projection head, two layers."""
    out_dim: Count = 128
    """Of the embeddings."""
    batch_norm: bool = True
    """In the projection head."""
    views: dict[str, ViewSettings] = kinds(
        image=ViewSettings(count=2, jitter=1.0, grey_probability=0.2, blur_probability=0.5)
    )
    training: TrainingDefaults = TrainingDefaults(
        epochs=100, weight_decay=1e-6, final_weight_decay=1e-6
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts)
        return Built(SimCLR(parts.encoder, self), ImagesOf(parts.dataset), views)


PART = SimCLRSettings
