"""Targets that stand still: balanced over the whole set, the same from any batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from leopart_kit.clustering import sinkhorn_knopp
from leopart_kit.methods import TokenAnchor, token_anchor


def uneven_tokens() -> Tensor:
    """`[800, 6]`: half of the patches lie close together, the rest far apart."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(800, 6, generator=generator)
    rows[:400] = rows[:1] + 0.3 * rows[:400]
    return rows


def chunks() -> Iterator[Tensor]:
    return iter(uneven_tokens().split(100))


def fitted(**options) -> TokenAnchor:
    return TokenAnchor.fit(chunks, 5, **{"projection_dim": 4, "num_iterations": 50, **options})


def scores_of(anchor: TokenAnchor) -> Tensor:
    with torch.no_grad():
        return anchor.prototypes(anchor.projection(uneven_tokens()))


def test_masses_are_equal_over_the_set_and_not_in_a_part_of_it():
    anchor = fitted(num_iterations=500)
    assignments = anchor(uneven_tokens())
    torch.testing.assert_close(assignments.sum(dim=1), torch.ones(800))
    torch.testing.assert_close(assignments.mean(dim=0), torch.full((5,), 0.2), rtol=0.02, atol=0)
    part = anchor(uneven_tokens()[:400]).mean(dim=0)
    assert part.max() > 0.3
    assert part.min() < 0.1
    unbalanced = torch.softmax(scores_of(anchor) / 0.05, dim=1).mean(dim=0)
    assert (unbalanced - 0.2).abs().max() > 0.05, "equal masses do not come by themselves"


@pytest.mark.parametrize("num_iterations", [0, 3])
def test_the_set_is_assigned_as_sinkhorn_knopp_assigns_it(num_iterations: int):
    anchor = fitted(num_iterations=num_iterations, epsilon=0.1)
    expected = sinkhorn_knopp(scores_of(anchor), 0.1, num_iterations)
    torch.testing.assert_close(anchor(uneven_tokens()), expected, rtol=1e-3, atol=1e-5)


def test_a_patch_is_assigned_the_same_in_any_company_and_shape():
    anchor = fitted()
    rows = uneven_tokens()
    together = anchor(rows)
    torch.testing.assert_close(anchor(rows[3:4]), together[3:4])
    maps = anchor(rows.view(2, 20, 20, 6))
    torch.testing.assert_close(maps.flatten(0, 2), together)


def test_half_precision_tokens_are_assigned_in_float32():
    anchor = fitted()
    tokens = uneven_tokens().half()
    with torch.autocast("cpu", torch.bfloat16):
        assignments = anchor(tokens)
    torch.testing.assert_close(assignments, anchor(tokens.float()), rtol=0, atol=0)


def test_nothing_of_it_is_trained():
    anchor = fitted()
    assert not any(p.requires_grad for p in anchor.parameters())
    assert not anchor(uneven_tokens().requires_grad_(True)).requires_grad


def test_an_empty_one_is_filled_from_the_state_of_another():
    anchor, empty = fitted(), TokenAnchor.empty(6, 5, 4, epsilon=0.05)
    assert not torch.allclose(empty(uneven_tokens()), anchor(uneven_tokens()), atol=0.1)
    empty.load_state_dict(anchor.state_dict())
    assert torch.equal(empty(uneven_tokens()), anchor(uneven_tokens()))
    assert not any(p.requires_grad for p in empty.parameters())


def test_of_a_large_set_a_share_is_balanced(monkeypatch: pytest.MonkeyPatch):
    whole = fitted().potentials
    monkeypatch.setattr(token_anchor, "MAX_BALANCED_PATCHES", 400)
    share = fitted().potentials
    assert not torch.equal(share, whole)
    # Potentials of half the patches, up to the constant that a softmax does not see.
    centred = [p - p.mean() for p in (share, whole)]
    torch.testing.assert_close(*centred, rtol=0, atol=1.0)


def test_too_few_patches():
    with pytest.raises(ValueError, match="900 clusters"):
        TokenAnchor.fit(chunks, 900, projection_dim=4)
