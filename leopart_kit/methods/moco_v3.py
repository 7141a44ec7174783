"""MoCo v3: predict the slow copy's view of the image; negatives are the rest of the batch.

Chen, Xie & He, "An Empirical Study of Training Self-Supervised Vision Transformers", ICCV 2021.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from leopart_kit.backbones import Encoder
from leopart_kit.losses import batch_info_nce
from leopart_kit.methods.ema import start_statistics, update_ema
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.projection_head import ProjectionHead, mlp
from leopart_kit.methods.world import process_group


class MoCoV3(Method):
    """Encoder, projector and predictor; a moving average of the first two gives the keys.

    Args:
        encoder: trained in place.
        learning_rate: peak of its schedule.
        temperature: of the softmax over cosine similarities.
        hidden_dim, out_dim: of the projector (three layers) and the predictor (two); batch norm
            follows every layer of both, the last ones too (section 4.1).
        frozen_patch_embedding: leave a ViT's patch projection at its random weights, which the
            paper found to make training stable (section 4.2).

    Raises:
        ValueError: a frozen patch embedding of a network that has none.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        learning_rate: float = 1.5e-4,
        temperature: float = 0.2,
        hidden_dim: int = 4096,
        out_dim: int = 256,
        frozen_patch_embedding: bool = False,
    ) -> None:
        super().__init__()
        if frozen_patch_embedding:
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
            hidden_dim,
            out_dim,
            batch_norm=True,
            activation="relu",
            output_norm=True,
        )
        self.predictor = ProjectionHead(
            out_dim,
            hidden_dim,
            out_dim,
            num_layers=2,
            batch_norm=True,
            activation="relu",
            output_norm=True,
        )
        self.momentum_encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.momentum_projector: nn.Module = copy.deepcopy(self.projector).requires_grad_(False)
        self.temperature = temperature
        self.learning_rate = learning_rate

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
        queries = self.predictor(self.projector(self.encoder.cls_token(images))).chunk(2)
        with torch.no_grad():
            keys = self.momentum_projector(self.momentum_encoder.cls_token(images)).chunk(2)
        group = process_group()
        losses = [
            batch_info_nce(queries[own], keys[1 - own], self.temperature, group) for own in (0, 1)
        ]
        # The factor keeps the gradient's size from depending on the temperature (algorithm 1).
        loss = 2 * self.temperature * torch.stack(losses).sum()
        return StepOutput(loss, {"cross_entropy": torch.stack(losses).detach().mean()})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.learning_rate)

    def after_step(self, step: int, momentum: float) -> None:
        """The momentum encoder and its projector follow."""
        update_ema(self.momentum_encoder, self.encoder, momentum)
        update_ema(self.momentum_projector, self.projector, momentum)
