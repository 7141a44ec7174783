from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import default_collate

from leopart_kit.data.multi_crop import MultiCropTransform, random_box, view_overlaps
from leopart_kit.losses.region_alignment import align_regions


def coordinates_image(height: int, width: int) -> torch.Tensor:
    """Red is the column and green the row of the pixel; blue stays 0."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows, torch.zeros_like(rows)]).to(torch.uint8)


def plain(**settings) -> MultiCropTransform:
    """Without photometric changes; values are those of the image."""
    defaults = {"photometric": None, "mean": (0, 0, 0), "std": (1 / 255,) * 3}
    return MultiCropTransform(**(defaults | settings))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("image", range(6))
def test_overlaps_equal_the_released_code(golden, image):
    arrays = {name: torch.from_numpy(a) for name, a in golden("crop_boxes").items()}
    in_global, in_view = view_overlaps(
        arrays["crop_boxes_xyxy"][image], arrays["crop_sizes"], num_global=2
    )
    torch.testing.assert_close(in_global, arrays["overlap_in_global"][image], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(in_view, arrays["overlap_in_view"][image], rtol=1e-5, atol=1e-4)


def test_overlaps_by_hand():
    boxes = torch.tensor([[0, 0, 100, 50], [50, 25, 150, 125], [200, 0, 210, 10]])
    in_global, in_view = view_overlaps(boxes, [200, 50, 10], num_global=1)
    assert in_global.tolist() == [[[0, 0, 200, 200], [100, 100, 200, 200], [0, 0, 0, 0]]]
    assert in_view.tolist() == [[[0, 0, 200, 200]], [[0, 0, 25, 12.5]], [[0, 0, 0, 0]]]


def test_boxes_in_a_mirrored_view_run_from_right_to_left():
    boxes = torch.tensor([[0, 0, 100, 50], [50, 25, 150, 125], [200, 0, 210, 10]])
    in_global, in_view = view_overlaps(boxes, [200, 50, 10], 1, flipped=[True, True, True])
    assert in_global[0, 1].tolist() == [100, 100, 0, 200]
    assert in_view[1, 0].tolist() == [50, 0, 25, 12.5]
    assert in_view[2, 0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.rand(3, 4), [8, 8], 1), r"got shapes \[3, 4\] and \[2\]"),
        ((torch.tensor([[0, 0, 4, 4]]), [8], 2), "num_global"),
        ((torch.tensor([[4, 0, 4, 4]]), [8], 1), "x0 < x1"),
    ],
)
def test_bad_boxes(arguments, message):
    with pytest.raises(ValueError, match=message):
        view_overlaps(*arguments)


@pytest.mark.parametrize("flip_probability", [0.0, 0.5, 1.0])
def test_shared_regions_show_the_same_pixels(flip_probability):
    transform = plain(
        global_size=112, local_size=48, num_local=3, flip_probability=flip_probability
    )
    image = coordinates_image(240, 250)
    generator = seeded(1)
    mirrored = 0
    for _ in range(8):
        views, _, in_global, in_view = transform(image, generator)
        for g in range(2):
            for v in range(len(views)):
                cells = [
                    align_regions(view.permute(1, 2, 0)[None], box[None, None], 7)[0, 0]
                    for view, box in [(views[g], in_global[g, v]), (views[v], in_view[v, g])]
                ]
                assert (cells[0][..., 0].diff(dim=1) > 0).all()
                # Half a pixel of the coarser view, which may be enlarged or reduced up to 5 times.
                torch.testing.assert_close(cells[0], cells[1], rtol=0, atol=2.5)
                mirrored += int(in_view[v, g, 0] > in_view[v, g, 2])
    assert (mirrored > 0) == (flip_probability > 0)


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(20, 300), st.integers(20, 300)),
    num_global=st.integers(1, 3),
    num_local=st.integers(0, 4),
)
def test_boxes_lie_in_the_image_and_overlap(seed, size, num_global, num_local):
    height, width = size
    transform = plain(global_size=8, local_size=4, num_global=num_global, num_local=num_local)
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    try:
        _, boxes, _, _ = transform(image, seeded(seed))
    except ValueError as error:
        assert max(size) > 10 * min(size), error  # noqa: PT017
        return
    assert len(boxes) == num_global + num_local
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= torch.tensor([width, height])).all()
    for v, box in enumerate(boxes):
        for other in boxes[: min(v, num_global)]:
            sides = torch.minimum(box[2:], other[2:]) - torch.maximum(box[:2], other[:2])
            share = sides.clamp(min=0).prod() / (height * width)
            assert share > (0.02 if v < num_global else 0.01)


def test_boxes_have_the_scale_and_shape_asked_for():
    generator = seeded()
    boxes = torch.tensor(
        [random_box(300, 400, (0.05, 0.25), (0.5, 2.0), generator) for _ in range(500)]
    )
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    share, ratio = width * height / (300 * 400), width / height
    assert share.min() > 0.045
    assert share.max() < 0.255
    assert 0.1 < share.mean() < 0.2
    assert ratio.min() > 0.48
    assert ratio.max() < 2.08
    assert abs(ratio.log().mean()) < 0.1


def test_a_strip_gives_its_central_box():
    assert random_box(10, 1000, (0.5, 1.0)) == (493, 0, 506, 10)
    assert random_box(1000, 10, (0.5, 1.0)) == (0, 493, 10, 506)


def test_the_generator_decides_everything():
    transform = MultiCropTransform(32, 16, flip_probability=0.5)
    image = torch.randint(0, 256, (3, 60, 80), dtype=torch.uint8, generator=seeded())
    first, again = transform(image, seeded(5)), transform(image, seeded(5))
    other = transform(image, seeded(6))
    for a, b in zip(first.views, again.views, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(first.overlap_in_view, again.overlap_in_view)
    assert not torch.equal(first.crop_boxes, other.crop_boxes)
    torch.manual_seed(3)
    from_global = transform(image)
    torch.manual_seed(3)
    assert torch.equal(from_global.views[0], transform(image).views[0])


def test_default_collate_batches_what_the_loss_needs():
    transform = plain(global_size=32, local_size=16, num_local=1)
    samples = [transform(coordinates_image(60, 80), seeded(i)) for i in range(3)]
    batch = default_collate(samples)
    for i, sample in enumerate(samples):
        assert torch.equal(batch.overlap_in_global[i], sample.overlap_in_global)
        assert torch.equal(batch.overlap_in_view[i], sample.overlap_in_view)
        for v in range(3):
            assert torch.equal(batch.views[v][i], sample.views[v])


def test_normalisation_and_pil_images():
    pixels = np.full((40, 50, 3), (255, 0, 51), dtype=np.uint8)
    transform = MultiCropTransform(8, 4, photometric=None, mean=(0.5, 0.5, 0.2), std=(0.5, 1, 0.1))
    view = transform(Image.fromarray(pixels), seeded()).views[0]
    torch.testing.assert_close(view[:, 3, 3], torch.tensor([1.0, -0.5, 0.0]))
    grey = transform(Image.fromarray(pixels[..., 0]), seeded()).views[0]
    torch.testing.assert_close(grey[:, 3, 3], torch.tensor([1.0, 0.5, 8.0]))


@pytest.mark.parametrize("side", [1, 2, 5])
def test_an_image_smaller_than_a_view_is_enlarged(side):
    image = torch.full((3, side, side), 7, dtype=torch.uint8)
    views = plain(global_size=32, local_size=16)(image, seeded()).views
    assert [view.shape[-1] for view in views] == [32, 32, 16, 16, 16, 16]
    assert all((view == 7).all() for view in (v.round() for v in views))


@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (plain(min_overlap=0.5), (40, 50)),
        (plain(), (2, 1000)),
    ],
    ids=["impossible settings", "a strip"],
)
def test_images_that_cannot_satisfy_the_overlap(transform, size):
    with pytest.raises(ValueError, match=f"image of {size[0]} x {size[1]} pixels.*enlarge the"):
        transform(torch.zeros(3, *size, dtype=torch.uint8), seeded())


@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(3, 4, 4),
        torch.zeros(4, 4, 3, dtype=torch.uint8),
        torch.zeros(3, 0, 4, dtype=torch.uint8),
    ],
)
def test_images_of_another_type(image):
    with pytest.raises(ValueError, match=r"uint8 \[3, H, W\]"):
        plain()(image)
