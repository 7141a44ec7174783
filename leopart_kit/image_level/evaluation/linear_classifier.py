"""A linear classifier on frozen features: every candidate trained at once, one chosen, one tested.

Learning rate and weight decay are chosen on a part of the *training* images; the test images are
looked at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering.projection import Standardizer
from leopart_kit.image_level.evaluation.low_shot import held_out_split
from leopart_kit.image_level.evaluation.settings import LinearSettings
from leopart_kit.progress import Track, quiet

_MOMENTUM = 0.9
_CHUNK = 4096


class Candidate(NamedTuple):
    """Numbers of SGD that one classifier is trained with."""

    learning_rate: float
    weight_decay: float


class ChosenClassifier(NamedTuple):
    """The classifier that was chosen without the test images, by its predictions for them."""

    predictions: Tensor  # int64 [M]
    chosen: Candidate
    validation_accuracy: float  # percent, on the held-out training images


class LinearClassifiers:
    """G linear classifiers on the same standardised features, trained side by side.

    Features get mean 0 and standard deviation 1, as from batch normalisation without scale. They
    are divided by √D, so that one set of learning rates suits 30 and 9,600 dimensions. Weights
    start at 0.

    Attributes:
        weight: `[G, D, C]`, bias: `[G, C]`.
    """

    def __init__(
        self, features: Tensor, num_classes: int, num_candidates: int, device: str | torch.device
    ) -> None:
        self.standardizer = Standardizer().fit(features.split(_CHUNK))
        self.device = device
        dim = features.shape[1]
        self.weight = torch.zeros(num_candidates, dim, num_classes, device=device)
        self.bias = torch.zeros(num_candidates, num_classes, device=device)

    def prepare(self, features: Tensor) -> Tensor:
        """Raw features `[B, D]` as the classifiers see them."""
        rows = self.standardizer.transform(features.to(self.device))
        return rows / math.sqrt(rows.shape[1])

    def logits(self, rows: Tensor) -> Tensor:
        """Prepared features `[B, D]` → `[G, B, C]`."""
        return torch.matmul(rows, self.weight) + self.bias[:, None]

    def gradients(self, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Of the mean cross entropy of each classifier, for its weight and its bias."""
        errors = torch.softmax(self.logits(rows), dim=-1)
        errors[:, torch.arange(len(rows), device=self.device), labels] -= 1
        errors /= len(rows)
        return torch.matmul(rows.T, errors), errors.sum(dim=1)

    def predict(self, features: Tensor) -> Tensor:
        """Classes of raw features `[M, D]`, int64 `[G, M]` on the CPU; −1 where one diverged."""
        chunks = features.split(_CHUNK)
        found = torch.cat([self.logits(self.prepare(c)).argmax(-1).cpu() for c in chunks], dim=1)
        finite = self.weight.isfinite().flatten(1).all(dim=1) & self.bias.isfinite().all(dim=1)
        found[~finite.cpu()] = -1
        return found


def train_linear(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    candidates: Sequence[Candidate],
    settings: LinearSettings,
    *,
    seed: int,
    device: str | torch.device = "cpu",
    track: Track = quiet,
) -> LinearClassifiers:
    """Train one classifier a candidate by SGD with Nesterov momentum and a cosine to 0.

    Args:
        features: `[N, D]` of any float type.
        labels: int64 `[N]`.
        seed: of the order of the images, which all candidates share.

    Raises:
        ValueError: a feature that is not finite.
    """
    models = LinearClassifiers(features, num_classes, len(candidates), device)
    rates = torch.tensor([c.learning_rate for c in candidates], device=device)
    decays = torch.tensor([c.weight_decay for c in candidates], device=device)
    moving = torch.zeros_like(models.weight), torch.zeros_like(models.bias)
    generator = torch.Generator().manual_seed(seed)
    batches = math.ceil(len(features) / settings.batch_size)
    steps = settings.epochs * batches
    for epoch in track(range(settings.epochs), "linear classifier", settings.epochs):
        order = torch.randperm(len(features), generator=generator)
        for i, batch in enumerate(order.split(settings.batch_size)):
            factor = (1 + math.cos(math.pi * (epoch * batches + i) / steps)) / 2
            weight, bias = models.gradients(
                models.prepare(features[batch]), labels[batch].to(device)
            )
            weight += decays[:, None, None] * models.weight
            for value, gradient, velocity in zip(
                (models.weight, models.bias), (weight, bias), moving, strict=True
            ):
                velocity.mul_(_MOMENTUM).add_(gradient)
                step = gradient.add_(velocity, alpha=_MOMENTUM)
                value.sub_(step * (factor * rates).reshape(-1, *[1] * (value.ndim - 1)))
    return models


def linear_probe(
    train: Tensor,
    labels: Tensor,
    test: Tensor,
    num_classes: int,
    settings: LinearSettings,
    *,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    device: str | torch.device = "cpu",
    track: Track = quiet,
) -> ChosenClassifier:
    """Choose learning rate and weight decay on held-out training images, train on all, predict.

    Args:
        train, test: features `[N, D]` and `[M, D]`.
        labels: of the training images, int64 `[N]`. Those of the test images are no argument.
        seed: of what is held out and of the order of training.

    Raises:
        ValueError: a class with too few images to hold some out, or no candidate that converges.
    """
    fit, held_out = (
        torch.from_numpy(rows)
        for rows in held_out_split(
            np.asarray(labels), settings.validation_fraction, seed, class_names
        )
    )
    candidates = [
        Candidate(*pair) for pair in product(settings.learning_rates, settings.weight_decays)
    ]
    tried = train_linear(
        train[fit],
        labels[fit],
        num_classes,
        candidates,
        settings,
        seed=seed,
        device=device,
        track=track,
    )
    predicted = tried.predict(train[held_out])
    if (predicted < 0).all():
        raise ValueError(
            "every linear classifier diverged: lower linear.learning_rates (now "
            f"{list(settings.learning_rates)})"
        )
    correct = (predicted == labels[held_out]).sum(dim=1)
    best = int(correct.argmax())
    final = train_linear(
        train,
        labels,
        num_classes,
        candidates[best : best + 1],
        settings,
        seed=seed,
        device=device,
        track=track,
    )
    accuracy = 100 * int(correct[best]) / len(held_out)
    return ChosenClassifier(final.predict(test)[0], candidates[best], accuracy)
