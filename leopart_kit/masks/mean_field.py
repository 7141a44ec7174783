"""Dense CRF without a compiled extension: mean field over a sparse bilateral grid."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from leopart_kit.masks.pairwise import Pairwise


def mean_field(image: np.ndarray, probabilities: np.ndarray, pairwise: Pairwise) -> np.ndarray:
    """Marginals of a dense CRF with Potts compatibility, with the colour term on a grid.

    The model and the updates are those of Krähenbühl & Koltun (2011), algorithm 1. The colour term
    is filtered on the occupied cells of a five-dimensional grid (splat, blur, slice to and from
    the nearest cell: Barron & Poole 2016, section 3) in place of the permutohedral lattice; that
    is coarser, and several times faster.

    Args:
        image: uint8 RGB `[H, W, 3]`.
        probabilities: float32 `[L, H, W]`, above 0, summing to 1 over the labels.
        pairwise: strengths and widths of both terms, and the number of iterations.

    Returns:
        float32 `[L, H, W]`, summing to 1 over the labels.
    """
    unary = np.log(probabilities)
    grid = BilateralGrid(image, pairwise.bilateral_sxy, pairwise.bilateral_srgb)
    marginals = probabilities
    for _ in range(pairwise.num_iterations):
        energy = unary + np.float32(pairwise.bilateral_compat) * grid.filter(marginals)
        energy += np.float32(pairwise.gaussian_compat) * _smooth(marginals, pairwise.gaussian_sxy)
        energy -= energy.max(axis=0)
        np.exp(energy, out=energy)
        marginals = energy / energy.sum(axis=0)
    return marginals


class BilateralGrid:
    """Gaussian filter over position and colour, symmetrically normalised.

    Args:
        image: uint8 RGB `[H, W, 3]`.
        sxy, srgb: size of a cell in pixels and in grey levels.
    """

    def __init__(self, image: np.ndarray, sxy: float, srgb: float):
        height, width = image.shape[:2]
        rows, columns = np.indices((height, width))
        place = np.concatenate(
            [np.stack([rows, columns], axis=-1) / sxy, image / srgb], axis=-1
        ).reshape(-1, 5)
        # One empty cell at either end of a dimension keeps the neighbours of its ends apart.
        cells = np.rint(place).astype(np.int64) + 1
        sizes = cells.max(axis=0) + 2
        strides = np.append(np.cumprod(sizes[:0:-1])[::-1], 1)
        keys, cell_of_pixel = np.unique(cells @ strides, return_inverse=True)
        pixels = height * width
        self._slice = csr_matrix(
            (np.ones(pixels, np.float32), cell_of_pixel.ravel(), np.arange(pixels + 1)),
            shape=(pixels, len(keys)),
        )
        self._splat = self._slice.T.tocsr()
        self._blurs = [_blur_matrix(keys, int(stride)) for stride in strides]
        mass = self._filter(np.ones((pixels, 1), np.float32))
        self._scale = 1 / np.sqrt(mass)

    def filter(self, planes: np.ndarray) -> np.ndarray:
        """float32 `[L, H, W]` → the same, filtered."""
        values = np.ascontiguousarray(planes.reshape(len(planes), -1).T)
        return (self._scale * self._filter(self._scale * values)).T.reshape(planes.shape)

    def _filter(self, values: np.ndarray) -> np.ndarray:
        cells = self._splat @ values
        for blur in self._blurs:
            cells = blur @ cells
        return self._slice @ cells


def _blur_matrix(keys: np.ndarray, stride: int) -> csr_matrix:
    """Weights 1/4, 1/2, 1/4 along one dimension `[cells, cells]`; empty cells hold nothing."""
    position = np.searchsorted(keys, keys + stride)
    position[position == len(keys)] = 0
    lower = np.flatnonzero(keys[position] == keys + stride)
    upper, own = position[lower], np.arange(len(keys))
    weights = np.repeat(np.array([0.5, 0.25], np.float32), [len(own), 2 * len(lower)])
    rows, columns = np.concatenate([own, lower, upper]), np.concatenate([own, upper, lower])
    return csr_matrix((weights, (rows, columns)), shape=(len(keys), len(keys)))


def _smooth(planes: np.ndarray, sigma: float) -> np.ndarray:
    blurred = [cv2.GaussianBlur(p, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) for p in planes]
    return np.stack(blurred)
