"""Context prediction: where does the second patch lie, seen from the first?

Doersch, Gupta & Efros, "Unsupervised Visual Representation Learning by Context Prediction",
ICCV 2015.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.data import NEIGHBOURS, PatchPair
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.projection_head import mlp


class ContextPrediction(Method):
    """One encoder for both patches; their features together are classified into eight places.

    Args:
        encoder: trained in place.
        learning_rate: peak of its schedule.
        hidden_dim: of the two hidden layers of the classifier.
    """

    def __init__(
        self, encoder: Encoder, *, learning_rate: float = 1e-3, hidden_dim: int = 512
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = mlp(
            2 * encoder.embed_dim,
            hidden_dim,
            len(NEIGHBOURS),
            batch_norm=True,
            activation="relu",
        )
        self.learning_rate = learning_rate

    def place_scores(self, centre: Tensor, neighbour: Tensor) -> Tensor:
        """Patches `[B, 3, p, p]` each → scores `[B, 8]` of the places in `data.NEIGHBOURS`."""
        features = self.encoder.cls_token(torch.cat([centre, neighbour]))
        return self.classifier(torch.cat(features.chunk(2), dim=1))

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is a collated `PatchPair`."""
        pair = PatchPair(*batch)
        scores = self.place_scores(pair.centre, pair.neighbour).float()
        labels = torch.as_tensor(pair.label)
        right = (scores.argmax(dim=1) == labels).float().mean()
        return StepOutput(F.cross_entropy(scores, labels), {"accuracy": right})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.learning_rate)
