"""Foreground from the first principal component of the patch tokens of a set of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from leopart_kit.clustering.projection import PCA


class ComponentForeground:
    """Splits patches along the first principal component of their tokens over the whole set.

    The component has no sign of its own. Its foreground side is the one that the patches at the
    border of the images lie on less: photographers put objects into the middle. No label is
    involved.

    Args:
        threshold: where to split, in standard deviations of the component above its mean.

    Attributes (after `fit`):
        direction: float32 `[D]`, unit length, towards the foreground.
        mean: float32 `[D]`, of the tokens of the set.
        deviation: standard deviation of the component over the set.

    Source: Oquab et al. (DINOv2), TMLR 2024, qualitative results. It keeps one side of the first
    component as foreground; choosing the side by the border is ours.
    """

    direction: Tensor
    mean: Tensor
    deviation: float

    def __init__(self, threshold: float = 0.0) -> None:
        self.threshold = threshold

    def fit(self, tokens: Tensor | Iterable[Tensor]) -> ComponentForeground:
        """Fits on tokens `[B, D, h, w]`, or an iterable of such batches, in one pass.

        Raises:
            ValueError: tokens that are not `[B, D, h, w]`, or as `PCA.fit`.
        """
        border = _BorderMean()
        pca = PCA(1).fit(border.rows([tokens] if isinstance(tokens, Tensor) else tokens))
        direction = pca.components[0]
        towards_border = direction @ (border.mean() - pca.mean)
        self.direction = -direction if towards_border > 0 else direction
        self.mean = pca.mean
        self.deviation = float(pca.explained_variance[0].sqrt())
        return self

    def predict(self, tokens: Tensor) -> Tensor:
        """Foreground of tokens `[B, D, h, w]`: bool `[B, h, w]`, all false where nothing varies.

        Raises:
            ValueError: tokens that are not `[B, D, h, w]` with the D fitted on.
            RuntimeError: called before `fit`.
        """
        if not hasattr(self, "direction"):
            raise RuntimeError("call fit before predict")
        _check_tokens(tokens)
        if tokens.shape[1] != len(self.mean):
            raise ValueError(
                f"tokens have {tokens.shape[1]} dimensions, fitted on {len(self.mean)}"
            )
        centred = tokens.float() - self.mean.to(tokens.device)[:, None, None]
        component = torch.einsum("bdhw,d->bhw", centred, self.direction.to(tokens.device))
        return component > self.threshold * self.deviation


class _BorderMean:
    """Collects the tokens at the border of the images while their rows go by."""

    def __init__(self) -> None:
        self.total = torch.zeros(())
        self.count = 0

    def rows(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        for batch in batches:
            _check_tokens(batch)
            border = torch.ones(batch.shape[-2:], dtype=torch.bool, device=batch.device)
            border[1:-1, 1:-1] = False
            at_border = batch[:, :, border]
            self.total = self.total + at_border.sum(dim=(0, 2), dtype=torch.float64).cpu()
            self.count += at_border.shape[0] * at_border.shape[2]
            yield batch.permute(0, 2, 3, 1).flatten(0, 2)

    def mean(self) -> Tensor:
        return (self.total / self.count).float()


def _check_tokens(tokens: Tensor) -> None:
    if tokens.ndim != 4:
        raise ValueError(f"tokens must be [images, D, h, w], got shape {list(tokens.shape)}")
