"""Choice of the images that keep their labels when only a share may."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def stratified_subset(
    labels: np.ndarray, fraction: float, seed: int, class_names: Sequence[str] | None = None
) -> np.ndarray:
    """The same share of the images of every class, drawn by seed.

    With one seed, a smaller share is part of a larger one. A class of n images keeps
    `fraction · n` of them, rounded half up.

    Args:
        labels: int64 `[N]`.
        fraction: in (0, 1].
        class_names: for messages.

    Returns:
        sorted indices, int64.

    Raises:
        ValueError: a fraction out of range, or one that leaves a class without an image.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction of the labels must lie in (0, 1], got {fraction}")
    kept = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        # A tiny amount is added, since 0.1 · 5 is a little less than a half of one in binary.
        count = int(np.floor(fraction * len(rows) + 0.5 + 1e-9))
        if count == 0:
            name = f"class {label}" if class_names is None else repr(class_names[label])
            raise ValueError(
                f"{100 * fraction:g} % of the {len(rows)} training images of {name} is none: use a "
                f"fraction of at least {1 / len(rows):.3g} or more images"
            )
        generator = np.random.default_rng((seed, int(label)))
        kept.append(generator.permutation(rows)[:count])
    return np.sort(np.concatenate(kept))


def held_out_split(
    labels: np.ndarray, fraction: float, seed: int, class_names: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`(fit, held out)`: indices of two parts with the same shares of every class.

    Raises:
        ValueError: a class with too few images to be in both parts.
    """
    held_out = stratified_subset(labels, fraction, seed, class_names)
    fit = np.setdiff1d(np.arange(len(labels)), held_out)
    lost = np.setdiff1d(np.unique(labels), np.unique(labels[fit]))
    if len(lost):
        name = f"class {lost[0]}" if class_names is None else repr(class_names[lost[0]])
        raise ValueError(
            f"{name} has too few training images to hold some out: add images or lower "
            "linear.validation_fraction"
        )
    return fit, held_out
