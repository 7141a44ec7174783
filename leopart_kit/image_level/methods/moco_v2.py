"""MoCo v2: find an image's other view, encoded by a slow copy, among a queue of older images.

He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020; Chen et
al., "Improved Baselines with Momentum Contrastive Learning", 2020.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.data import ViewSettings
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings, kinds
from leopart_kit.losses import gather_rows, queue_info_nce
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.ema import start_statistics, update_ema
from leopart_kit.methods.feature_queue import FeatureQueue
from leopart_kit.methods.gram_anchor import GramSettings
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.projection_head import ProjectionHead
from leopart_kit.methods.world import process_group
from leopart_kit.settings import Count, Positive, settings


class MoCoV2(Method):
    """Queries from the encoder, keys from its moving average, negatives from the queue.

    The momentum encoder is in eval mode and normalises by running statistics. So keys carry no
    trace of the batch they were made in. The paper shuffles images between GPUs to that end.

    Args:
        encoder: trained in place.
        settings: the method's numbers.
    """

    def __init__(self, encoder: Encoder, settings: MoCoV2Settings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or MoCoV2Settings()
        self.encoder = encoder
        self.projection = ProjectionHead(
            encoder.embed_dim,
            settings.hidden_dim,
            settings.out_dim,
            num_layers=2,
            activation="relu",
        )
        self.momentum_encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.momentum_projection = copy.deepcopy(self.projection).requires_grad_(False)
        self.queue = FeatureQueue(1, settings.queue_length, settings.out_dim)
        self.gram = settings.gram_anchor(encoder)

    def train(self, mode: bool = True) -> MoCoV2:
        """The momentum encoder stays in eval mode."""
        super().train(mode)
        self.momentum_encoder.eval()
        self.momentum_projection.eval()
        return self

    @torch.no_grad()
    def keys(self, images: Tensor) -> Tensor:
        """Keys `[B, E]` of length 1."""
        return self.momentum_projection(self.momentum_encoder.cls_token(images)).float()

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds two views `[B, 3, s, s]`."""
        first, second = batch
        if step == 0:  # the projection has no batch norm
            start_statistics(
                self.momentum_encoder, self.encoder, lambda: self.encoder.cls_token(first)
            )
        images, tokens = self.encoder.cls_and_patches(first)
        queries = self.projection(images)
        keys = self.keys(second)
        # A copy: storing the new keys changes the queue that the backward pass would read.
        queued = self.queue.content(0).clone()
        loss = queue_info_nce(queries, keys, queued, self.settings.temperature)
        everyones, _ = gather_rows(keys, process_group())
        self.queue.store(everyones[None, :, None, None])
        alignment = (queries.detach() * keys).float().sum(dim=1).mean()
        logs: dict[str, Tensor | float] = {"positive_similarity": alignment}
        if self.gram is not None:
            term = self.gram([tokens], [first])
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
        """The momentum encoder follows."""
        update_ema(self.momentum_encoder, self.encoder, momentum)
        update_ema(self.momentum_projection, self.projection, momentum)


@settings
class MoCoV2Settings(ImageMethodSettings, GramSettings):
    """Settings of MoCo v2; the paper has SGD with a rate of 0.03 and batches of 256, here AdamW."""

    num_views: ClassVar[int | None] = 2

    temperature: Positive = 0.2
    """Of the softmax over cosine similarities."""
    queue_length: Count = 65536
    """Keys kept, in every process those of all, each in an order of its own."""
    hidden_dim: Count = 2048
    """Of the projection head, two layers."""
    out_dim: Count = 128
    """Of the embeddings."""
    views: dict[str, ViewSettings] = kinds(
        image=ViewSettings(
            count=2, scale=(0.2, 1.0), jitter=0.5, grey_probability=0.2, blur_probability=0.5
        )
    )
    training: TrainingDefaults = TrainingDefaults(
        epochs=200, weight_decay=1e-4, final_weight_decay=1e-4, momentum=0.999, final_momentum=0.999
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gram_weight and self.gram_teacher == "ema":
            raise ValueError(
                "moco_v2's momentum encoder sees another view than the encoder, whose patches it "
                "cannot anchor: leave gram_teacher=start; gram_renew_every=N takes its weights"
            )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts)
        return Built(MoCoV2(parts.encoder, self), ImagesOf(parts.dataset), views)


PART = MoCoV2Settings
