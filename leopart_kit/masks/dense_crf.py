"""Dense CRF by the optional package pydensecrf."""

from __future__ import annotations

import importlib.util

import numpy as np

from leopart_kit.masks.pairwise import Pairwise


def dense_crf_available() -> bool:
    """True if the extra `crf` is installed."""
    return importlib.util.find_spec("pydensecrf") is not None


def check_dense_crf() -> None:
    """Raise `ValueError` where the extra `crf` is missing."""
    if not dense_crf_available():
        raise ValueError(
            "refinement dense_crf needs the package pydensecrf: pip install 'leopart-kit[crf]', or "
            "choose the refinement bilateral_grid"
        )


def dense_crf(image: np.ndarray, probabilities: np.ndarray, pairwise: Pairwise) -> np.ndarray:
    """Marginals of a dense CRF with Potts compatibility (Krähenbühl & Koltun 2011).

    Args:
        image: uint8 RGB `[H, W, 3]`.
        probabilities: float32 `[L, H, W]`, above 0, summing to 1 over the labels.
        pairwise: strengths and widths of both terms, and the number of iterations.

    Returns:
        float32 `[L, H, W]`, summing to 1 over the labels.

    Raises:
        ValueError: the extra `crf` is not installed.
    """
    check_dense_crf()
    # An optional package; and a compiled one, which only those pay for who use it.
    from pydensecrf.densecrf import DenseCRF2D  # pyright: ignore[reportMissingImports]

    num_labels, height, width = probabilities.shape
    crf = DenseCRF2D(width, height, num_labels)
    unary = -np.log(probabilities.reshape(num_labels, -1))
    crf.setUnaryEnergy(np.ascontiguousarray(unary, dtype=np.float32))
    crf.addPairwiseGaussian(sxy=pairwise.gaussian_sxy, compat=pairwise.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=pairwise.bilateral_sxy,
        srgb=pairwise.bilateral_srgb,
        rgbim=np.array(image, order="C"),  # it refuses an array that is read-only
        compat=pairwise.bilateral_compat,
    )
    marginals = np.array(crf.inference(pairwise.num_iterations), dtype=np.float32)
    return marginals.reshape(probabilities.shape)
