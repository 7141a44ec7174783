from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.clustering.component_foreground import ComponentForeground


def images_with_objects(seed: int, num_images: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens `[B, 8, 9, 9]` that differ by one direction inside a random box, and the boxes."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(num_images, 9, 9, dtype=torch.bool)
    for mask in masks:
        top, left = torch.randint(1, 4, (2,), generator=generator).tolist()
        mask[top : top + 4, left : left + 4] = True
    direction = torch.randn(8, generator=generator)
    direction /= direction.norm()
    tokens = 5 + 0.1 * torch.randn(num_images, 8, 9, 9, generator=generator)
    return tokens + 4 * masks[:, None] * direction[:, None, None], masks


@given(st.integers(0, 10_000))
def test_objects_away_from_the_border_are_found(seed):
    tokens, masks = images_with_objects(seed)
    assert torch.equal(ComponentForeground().fit(tokens).predict(tokens), masks)


def test_batches_equal_the_whole_set():
    tokens, _ = images_with_objects(0)
    whole = ComponentForeground().fit(tokens)
    batched = ComponentForeground().fit(batch.half().float() for batch in tokens.split(4))
    torch.testing.assert_close(batched.direction, whole.direction, atol=1e-3, rtol=0)
    assert torch.equal(batched.predict(tokens), whole.predict(tokens))


def test_images_of_other_sizes_in_one_set():
    tokens, masks = images_with_objects(1)
    batches = [tokens[:3], tokens[3:, :, :-1]]
    fitted = ComponentForeground().fit(iter(batches))
    assert torch.equal(fitted.predict(batches[1]), masks[3:, :-1])


def test_threshold_is_in_standard_deviations():
    tokens, _ = images_with_objects(2)
    strict = ComponentForeground(threshold=100.0).fit(tokens)
    assert not strict.predict(tokens).any()
    component = torch.einsum("bdhw,d->bhw", tokens - strict.mean[:, None, None], strict.direction)
    assert strict.deviation == pytest.approx(float(component.std()), rel=1e-4)


def test_tokens_that_do_not_vary_have_no_foreground():
    tokens = torch.ones(2, 3, 4, 4)
    assert not ComponentForeground().fit(tokens).predict(tokens).any()


def test_bad_input():
    with pytest.raises(ValueError, match=r"tokens.*\[2, 3\]"):
        ComponentForeground().fit(torch.zeros(2, 3))
    with pytest.raises(RuntimeError, match="fit"):
        ComponentForeground().predict(torch.zeros(1, 3, 2, 2))
    with pytest.raises(ValueError, match="tokens"):
        ComponentForeground().fit(images_with_objects(0)[0]).predict(torch.zeros(1, 4, 2, 2))
    with pytest.raises(ValueError, match="no row"):
        ComponentForeground().fit(iter([]))
