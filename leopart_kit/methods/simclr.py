"""SimCLR: the two views of an image attract each other, all other images of the batch repel.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
"""

from __future__ import annotations

from typing import Any

import torch

from leopart_kit.backbones import Encoder
from leopart_kit.losses import nt_xent
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.projection_head import ProjectionHead
from leopart_kit.methods.world import process_group


class SimCLR(Method):
    """Encoder and projection head under NT-Xent.

    Args:
        encoder: trained in place.
        learning_rate: peak of its schedule.
        temperature: of the softmax over cosine similarities.
        hidden_dim, out_dim: of the projection head.
        batch_norm: in the projection head.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        learning_rate: float = 1e-3,
        temperature: float = 0.1,
        hidden_dim: int = 2048,
        out_dim: int = 128,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = ProjectionHead(
            encoder.embed_dim,
            hidden_dim,
            out_dim,
            num_layers=2,
            batch_norm=batch_norm,
            activation="relu",
        )
        self.temperature = temperature
        self.learning_rate = learning_rate

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds two views `[B, 3, s, s]`."""
        first, second = batch
        embeddings = self.projection(self.encoder.cls_token(torch.cat([first, second])))
        one, two = embeddings.chunk(2)
        loss = nt_xent(one, two, self.temperature, process_group())
        alignment = (one * two).detach().float().sum(dim=1).mean()
        return StepOutput(loss, {"positive_similarity": alignment})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.learning_rate)
