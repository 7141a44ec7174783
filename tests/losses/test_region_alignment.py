from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import roi_align

from leopart_kit.losses.region_alignment import align_regions, cells_inside


def reference(maps, boxes, output_size):
    """torchvision's kernel on channel-last maps `[B, h, w, K]` and boxes `[B, R, 4]`."""
    aligned = roi_align(maps.permute(0, 3, 1, 2), list(boxes), output_size, aligned=True)
    return aligned.permute(0, 2, 3, 1).unflatten(0, boxes.shape[:2])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    grid=st.tuples(st.integers(1, 15), st.integers(1, 15)),
    output_size=st.sampled_from([1, 3, 7]),
    overhang=st.sampled_from([0.0, 3.0]),
)
def test_equals_torchvision_in_value_and_gradient(seed, grid, output_size, overhang):
    generator = torch.Generator().manual_seed(seed)
    height, width = grid
    maps = torch.randn(2, height, width, 5, generator=generator).double()
    corners = torch.rand(2, 4, 2, 2, generator=generator).sort(dim=2).values.double()
    extent = torch.tensor([width, height]) + 2 * overhang
    boxes = (corners * extent - overhang).flatten(2)
    boxes[0, 0, 2:] = boxes[0, 0, :2]  # an empty box
    results, gradients = [], []
    for align in (align_regions, reference):
        leaf = maps.clone().requires_grad_()
        result = align(leaf, boxes, output_size)
        (result * torch.linspace(-1, 1, result.numel()).view(result.shape)).sum().backward()
        results.append(result.detach())
        gradients.append(leaf.grad)
    torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-9)
    assert (results[0][0, 0] == 0).all()


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    grid=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    output_size=st.sampled_from([1, 3, 7]),
)
def test_a_known_longest_box_changes_no_bit(seed, grid, output_size):
    generator = torch.Generator().manual_seed(seed)
    height, width = grid
    maps = torch.randn(2, height, width, 5, generator=generator)
    corners = torch.rand(2, 6, 2, 2, generator=generator)  # half of them mirrored or upside down
    corners[0, 0] = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    boxes = (corners * torch.tensor([width, height])).flatten(2)
    boxes[1, 0, 2:] = boxes[1, 0, :2]
    measured = align_regions(maps, boxes, output_size)
    assert torch.equal(align_regions(maps, boxes, output_size, longest=max(grid)), measured)


def test_one_cell_over_the_whole_map_is_its_mean():
    maps = torch.tensor([[1.0, 2.0], [3.0, 6.0]])[None, :, :, None]
    box = torch.tensor([[[0.0, 0.0, 2.0, 2.0]]])
    assert align_regions(maps, box, 1).item() == 3.0


def test_a_backward_box_mirrors_its_cells():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(1, 6, 8, 3, generator=generator)
    mask = torch.zeros(1, 6, 8)
    mask[:, :4, :5] = 1
    forward = torch.tensor([[[0.7, 1.0, 6.1, 5.5]]])
    backward = forward[..., [2, 1, 0, 3]]
    torch.testing.assert_close(
        align_regions(maps, backward, 4), align_regions(maps, forward, 4).flip(3)
    )
    inside = cells_inside(mask, forward, 4)
    assert inside[0, 0, 0].tolist() == [True, True, True, False]
    assert torch.equal(cells_inside(mask, backward, 4), inside.flip(3))


@pytest.mark.parametrize(("column", "expected"), [(2, [True, False]), (4, [True, True])])
def test_only_cells_wholly_inside_count(column, expected):
    mask = torch.zeros(1, 2, 4)
    mask[:, :, :column] = 1
    box = torch.tensor([[[0.0, 0.0, 4.0, 2.0]]])
    assert cells_inside(mask, box, 2)[0, 0].tolist() == [expected, expected]
