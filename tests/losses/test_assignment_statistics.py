from __future__ import annotations

import math

import pytest
import torch

from leopart_kit.clustering.sinkhorn import sinkhorn_knopp
from leopart_kit.losses import assignment_statistics, collapse_warning


def test_by_hand():
    statistics = assignment_statistics(
        torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.6, 0.4, 0.0], [0.3, 0.7, 0.0]])
    )
    torch.testing.assert_close(statistics.usage, torch.tensor([0.6, 0.4, 0.0]))
    assert statistics.prototypes_used == 2
    rows = [0.0, math.log(2), 0.673012, 0.610864]
    assert statistics.entropy == pytest.approx(sum(rows) / 4, abs=1e-5)
    assert statistics.usage_entropy == pytest.approx(0.673012, abs=1e-5)
    assert statistics.log_num_prototypes == pytest.approx(math.log(3))


def lopsided_scores() -> torch.Tensor:
    """Prototype 0 is the nearest of every patch."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(400, 20, generator=generator) * 0.5
    scores[:, 0] += 0.5
    return scores


def test_equal_masses_keep_every_prototype_in_use():
    statistics = assignment_statistics(sinkhorn_knopp(lopsided_scores(), num_iterations=3))
    assert statistics.prototypes_used == 20
    assert collapse_warning(statistics) is None


def test_without_equal_masses_one_prototype_takes_all():
    statistics = assignment_statistics(sinkhorn_knopp(lopsided_scores(), num_iterations=0))
    assert statistics.prototypes_used < 20
    assert "prototypes" in str(collapse_warning(statistics))


def test_patches_that_are_all_alike_are_reported():
    alike = torch.rand(1, 20).expand(400, 20)
    statistics = assignment_statistics(sinkhorn_knopp(alike))
    assert statistics.entropy == pytest.approx(math.log(20), rel=1e-4)
    assert "all but uniform" in str(collapse_warning(statistics))


def test_nothing_to_describe():
    with pytest.raises(ValueError, match=r"no assignments: shape \[0, 4\]"):
        assignment_statistics(torch.zeros(0, 4))
