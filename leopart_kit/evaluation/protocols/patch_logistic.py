"""Logistic regression on patches, fitted by L-BFGS on tokens that are never all in memory.

CAPI (Darcet et al. 2025): tokens standardised by the training images, the patch label is its most
frequent class; C is chosen on a tenth of the training images. The objective is scikit-learn's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize

from leopart_kit.data import IGNORE_INDEX
from leopart_kit.evaluation.protocols.patch_classifiers.measure import measure_patches
from leopart_kit.evaluation.protocols.patch_classifiers.patches import Patches
from leopart_kit.evaluation.protocols.patch_classifiers.settings import PatchClassifierSettings
from leopart_kit.evaluation.protocols.training_split.choice import short_names
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.evaluation.task import Measurement, Task
from leopart_kit.settings import Count, Positive, Positives, settings

logger = logging.getLogger(__name__)


@settings
class PatchLogistic(PatchClassifierSettings):
    """Logistic regression on patches; the numbers are CAPI's."""

    name: ClassVar[str] = "patch_logistic"

    strengths: Positives = tuple((10 ** np.linspace(-6, 5, 8)).tolist())
    """Values of C to choose from; a larger one regularises less."""
    tolerance: Positive = 1e-4
    """Largest slope at which the fit is done."""
    max_iterations: Count = 1000
    """Of L-BFGS, at most; the log says where they were not enough."""

    def measure(self, task: Task) -> Measurement:
        """Choose C on held-out patches of `task.train` and name those of the task's images.

        Raises:
            ValueError: the training patches show one class, or no or too few training images with
                masks.
        """
        names = [f"C = {name}" for name in short_names(self.strengths)]
        strength_of = dict(zip(names, self.strengths, strict=True))

        def classify(
            known: Patches, asked: Patches, names: Sequence[str], cache: StageCache
        ) -> Mapping[str, np.ndarray]:
            found = {}
            for name in task.run.track(names, "logistic regression", len(names)):
                key = {"known": known.places.tolist(), "strength": strength_of[name]}
                fitted = cache.get(
                    "logistic",
                    key,
                    lambda name=name: self.fit(known, strength_of[name], task.run.device),
                )
                found[name] = predict(asked, fitted, task.run.device)
            return found

        return measure_patches(self, task, list(strength_of), classify)

    def fit(self, known: Patches, strength: float, device: str) -> dict[str, np.ndarray]:
        """`weights` float32 `[P, D]`, `bias` `[P]` and the ids `classes` `[P]` of those present.

        Minimises mean cross entropy + |W|² / (2 C M) over the M labelled patches.

        Raises:
            ValueError: the patches show one class alone.
        """
        labels = known.classes()
        present = labels.unique().long()
        if len(present) < 2:
            raise ValueError(
                f"the labelled patches of {len(known.places)} training images show "
                f"{len(present)} class: there is nothing to tell apart; use more images"
            )
        place_of = torch.full((IGNORE_INDEX + 1,), -1, dtype=torch.int64)
        place_of[present] = torch.arange(len(present))
        shape, count = (len(present), known.store.embed_dim + 1), len(labels)
        decay = torch.ones(shape, dtype=torch.float64) / (strength * count)
        decay[:, -1] = 0  # of the bias

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            both = torch.from_numpy(flat).view(shape)
            loss = 0.5 * float((decay * both.square()).sum())
            slope = decay * both
            used = both.to(device, torch.float32)
            for tokens, classes in known.labelled():
                tokens, wanted = tokens.to(device), place_of[classes].to(device)
                logits = F.linear(tokens, used[:, :-1], used[:, -1])
                loss += float(F.cross_entropy(logits, wanted, reduction="sum")) / count
                error = logits.softmax(dim=1) - F.one_hot(wanted, len(present))
                part = torch.cat([error.T @ tokens, error.sum(dim=0)[:, None]], dim=1)
                slope += part.cpu().double() / count
            return loss, slope.flatten().numpy()

        found = minimize(
            objective,
            np.zeros(shape[0] * shape[1]),
            jac=True,
            method="L-BFGS-B",
            options={
                "maxiter": self.max_iterations,
                "maxls": 50,
                "gtol": self.tolerance,
                "ftol": 64 * np.finfo(float).eps,
            },
        )
        if found.nit >= self.max_iterations:
            logger.warning("C = %g: not done after %d iterations", strength, found.nit)
        both = found.x.reshape(shape).astype(np.float32)
        return {"weights": both[:, :-1], "bias": both[:, -1], "classes": present.numpy()}


def predict(asked: Patches, fitted: Mapping[str, np.ndarray], device: str) -> np.ndarray:
    """The most probable class of every patch, uint8 `[images, h·w]`."""
    weights, bias, classes = (
        torch.from_numpy(fitted[name]).to(device) for name in ("weights", "bias", "classes")
    )
    found = [
        classes[F.linear(tokens.to(device), weights, bias).argmax(dim=1)].to("cpu", torch.uint8)
        for tokens in asked.tokens()
    ]
    return torch.cat(found).numpy().reshape(len(asked.places), -1)


PART = PatchLogistic
