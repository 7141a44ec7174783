"""The parameters of a dense CRF with two Potts terms: smoothness and appearance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pairwise:
    """Krähenbühl & Koltun (2011), eq. 3: a Gaussian term and a bilateral one.

    Widths are standard deviations, in pixels (`sxy`) and grey levels (`srgb`); a compatibility is
    the penalty for two different labels.

    Raises:
        ValueError: a width of 0 or less, a negative penalty, no iteration.
    """

    gaussian_sxy: float = 1
    gaussian_compat: float = 3
    bilateral_sxy: float = 67
    bilateral_srgb: float = 3
    bilateral_compat: float = 4
    num_iterations: int = 10

    def __post_init__(self) -> None:
        for name in ("gaussian_sxy", "bilateral_sxy", "bilateral_srgb"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("gaussian_compat", "bilateral_compat"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.num_iterations < 1:
            raise ValueError(f"num_iterations must be 1 or more, got {self.num_iterations}")


# What PiCIE's successors use on 320 px images (STEGO, Hamilton et al. 2022, and after it CAUSE).
FIELD = Pairwise()
# For the bilateral grid on an image of half the size; chosen on Pascal VOC train.
GRID = Pairwise(bilateral_sxy=16, bilateral_srgb=12, num_iterations=5)
