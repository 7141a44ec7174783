"""Patch tokens in the few bytes that a page can hold, with their cosine similarities kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_TOLERANCE = 0.012  # of a similarity, measured; others may be a little further off
_PROBES = 256
_WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096)


@dataclass(frozen=True)
class ReducedTokens:
    """Patches whose scalar products are the cosine similarities of the tokens they stand for.

    `values` int8 `[n, d]` times `scales` float32 `[d]` are the components of unit tokens along
    their principal axes, the longest first. `error` is the largest difference of a similarity that
    was measured, on the patches that are represented worst and on others all over.
    """

    values: np.ndarray
    scales: np.ndarray
    error: float


def reduce_tokens(tokens: np.ndarray, max_bytes: int) -> ReducedTokens:
    """As few components as keep similarities to about 0.01, in at most `max_bytes` bytes.

    The axes are those of the unit tokens around the origin, so that scalar products stay what they
    are (a PCA that subtracts the mean would change them).

    Args:
        tokens: `[n, D]`, any finite scale; a token of length 0 is similar to none.

    Raises:
        ValueError: no token, one that is not finite, or less than a byte for each.
    """
    if tokens.ndim != 2 or not tokens.size:
        raise ValueError(f"tokens must be [n, D], got {list(tokens.shape)}")
    if not np.isfinite(tokens).all():
        raise ValueError("tokens must be finite")
    if max_bytes < len(tokens):
        raise ValueError(f"{len(tokens)} tokens need {len(tokens)} bytes or more, got {max_bytes}")
    unit = unit_tokens(tokens)
    parts = unit @ _axes(unit)
    most = min(parts.shape[1], max_bytes // len(tokens))
    probes = _probes(parts)
    exact = unit[probes] @ unit.T
    for width in (*(w for w in _WIDTHS if w < most), most):
        values, scales = _quantised(parts[:, :width])
        kept = values * scales
        error = float(np.abs(kept[probes] @ kept.T - exact).max())
        if error <= _TOLERANCE:
            break
    return ReducedTokens(values, scales, error)


def unit_tokens(tokens: np.ndarray) -> np.ndarray:
    """Tokens `[n, D]` at length 1, float32; those of length 0 stay."""
    tokens = tokens.astype(np.float32)
    tokens = tokens / np.maximum(np.abs(tokens).max(axis=1, keepdims=True), 1e-30)
    return tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-30)


def pca_colours(tokens: np.ndarray) -> np.ndarray:
    """The first three principal components of unit tokens as red, green and blue, uint8 `[n, 3]`.

    Each from its 2nd to its 98th percentile; the largest weight of a component is positive, so
    that the same tokens always have the same colours.
    """
    unit = unit_tokens(tokens)
    centred = unit - unit.mean(axis=0)
    axes = _axes(centred)[:, :3]
    parts = np.zeros((len(unit), 3), dtype=np.float32)
    parts[:, : axes.shape[1]] = centred @ axes
    low, high = np.percentile(parts, [2, 98], axis=0)
    stretched = (parts - low) / np.maximum(high - low, 1e-9)
    return np.round(255 * np.clip(stretched, 0, 1)).astype(np.uint8)


def _axes(tokens: np.ndarray) -> np.ndarray:
    """Principal axes `[D, D]` around the origin, the longest first, with fixed signs."""
    wide = tokens.astype(np.float64)
    _, vectors = np.linalg.eigh(wide.T @ wide)
    vectors = vectors[:, ::-1]
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
    return (vectors * signs).astype(np.float32)


def _probes(parts: np.ndarray) -> np.ndarray:
    """Patches all over, and those that the first components say least about."""
    spread = np.linspace(0, len(parts) - 1, min(_PROBES, len(parts))).astype(int)
    rest = (parts[:, 16:] ** 2).sum(axis=1)
    return np.union1d(spread, np.argsort(-rest, kind="stable")[:_PROBES])


def _quantised(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 values and the scale of each column."""
    scales = np.maximum(np.abs(parts).max(axis=0), 1e-12).astype(np.float32) / 127
    return np.round(parts / scales).astype(np.int8), scales
