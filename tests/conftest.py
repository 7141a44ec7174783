"""Fixtures every test may use: reference figures and, where they are present, real images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

# A busy machine is no bug.
settings.register_profile("leopart_kit", deadline=None)
settings.load_profile("leopart_kit")

GOLDEN_DIR = Path(__file__).parent / "golden"
SHARED_DIR = Path(__file__).parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How often `cli/test_kills.py` kills each kind of command."""
    parser.addoption("--kills", type=int, default=2, help="kills of each kind of command")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What a test draws without a generator of its own is the same in every run."""
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """Load `tests/golden/<name>.npz` as a dict of arrays."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN_DIR / f"{name}.npz") as arrays:
            return dict(arrays)

    return load


@pytest.fixture
def shared_dir() -> Path:
    """The folder of real images and weights that lies beside a developer's clone."""
    if not SHARED_DIR.is_dir():
        pytest.skip(f"real images and weights are not here: {SHARED_DIR} does not exist")
    return SHARED_DIR
