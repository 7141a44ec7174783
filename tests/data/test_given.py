"""Arrays and data sets of torch as data sets of ours: the same items in every form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from leopart_kit.data import SegmentationDataset, as_dataset, center_crops
from leopart_kit.data.errors import UnknownClassError

DRAWN = np.random.default_rng(0)
PHOTOS = DRAWN.integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)
MASKS = DRAWN.integers(0, 4, (3, 6, 8))
MASKS[0, 0, :3] = 255


class Items(Dataset):
    """A data set of torch with items in any form."""

    def __init__(self, items: list[Any], **attributes: Any) -> None:
        self.items = items
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def pil(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image.astype(np.uint8))


TENSORS = torch.from_numpy(PHOTOS).permute(0, 3, 1, 2)
PAIRS = list(zip(PHOTOS, MASKS, strict=True))
FORMS = {
    "arrays": (PHOTOS, MASKS),
    "channels first": (PHOTOS.transpose(0, 3, 1, 2), MASKS[:, None]),
    "tensors": (TENSORS, torch.from_numpy(MASKS)),
    "lists": (list(PHOTOS), list(MASKS.astype(np.uint8))),
    "pictures": ([pil(image) for image in PHOTOS], [pil(mask) for mask in MASKS]),
    "floats": (PHOTOS.astype(np.float32) / 255, MASKS.astype(np.int16)),
    "torch": TensorDataset(TENSORS, torch.from_numpy(MASKS)),
    "pairs": Items(PAIRS),
    "named": Items([(image, mask, f"{i:06d}") for i, (image, mask) in enumerate(PAIRS)]),
    "dictionaries": Items([{"image": pil(image), "mask": mask} for image, mask in PAIRS]),
    "keys of others": Items([{"pixel_values": image, "labels": mask} for image, mask in PAIRS]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_items(form: str):
    dataset = as_dataset(FORMS[form])
    assert dataset.class_names == ("class 0", "class 1", "class 2", "class 3")
    assert len(dataset) == 3
    for index, (image, mask, name) in enumerate(dataset):
        assert mask is not None
        np.testing.assert_array_equal(image.permute(1, 2, 0), PHOTOS[index])
        np.testing.assert_array_equal(mask, MASKS[index])
        assert name == dataset.names[index] == f"{index:06d}"
        assert dataset.image_size(index) == (6, 8)
    reference = as_dataset((PHOTOS, MASKS))
    assert dataset.mask_fingerprint() == reference.mask_fingerprint()
    assert dataset.fingerprint() == reference.fingerprint()


def test_each_pixel_and_each_label_counts_for_the_fingerprints():
    dataset = as_dataset((PHOTOS, MASKS))
    other_image, other_mask = PHOTOS.copy(), MASKS.copy()
    other_image[2, 5, 7, 1] ^= 1
    other_mask[2, 5, 7] = (MASKS[2, 5, 7] + 1) % 4
    for changed, image_changes in (((other_image, MASKS), True), ((PHOTOS, other_mask), False)):
        found = as_dataset(changed)
        assert (found.fingerprint() != dataset.fingerprint()) is image_changes
        assert (found.mask_fingerprint() != dataset.mask_fingerprint()) is not image_changes
    views = [center_crops(as_dataset((PHOTOS, mask)), 4) for mask in (MASKS, other_mask)]
    assert views[0].mask_fingerprint() != views[1].mask_fingerprint()
    assert views[0].fingerprint() == views[1].fingerprint()
    assert views[0][1][0].shape == (3, 4, 4)


def test_classes_are_those_that_are_named():
    names = ["background", "a", "b", "c", "d"]
    said = as_dataset((PHOTOS, MASKS), names)
    assert said.class_names == tuple(names)
    assert said.has_background
    assert as_dataset(Items(PAIRS, classes=names)).class_names == tuple(names)
    assert as_dataset(Items(PAIRS, classes=names), list("wxyz")).class_names == tuple("wxyz")
    with pytest.raises(UnknownClassError, match="class_names"):
        as_dataset((PHOTOS, MASKS), names[:3])


def test_an_id_of_ignored_pixels():
    masks = np.where(MASKS == 255, -100, MASKS)
    found = as_dataset((PHOTOS, masks), ignore_index=-100)
    np.testing.assert_array_equal(np.stack([mask for _, mask, _ in found]), MASKS)  # type: ignore[arg-type]
    with pytest.raises(UnknownClassError, match="ignore_index"):
        as_dataset((PHOTOS, masks))


@pytest.mark.parametrize("images", [PHOTOS, list(TENSORS), Items([pil(p) for p in PHOTOS])])
def test_images_alone_have_no_masks(images: Any):
    dataset = as_dataset(images)
    assert dataset.num_classes == 0
    assert all(mask is None for _, mask, _ in dataset)


def test_images_of_different_sizes_and_a_part_of_them():
    images = [np.full((4 + i, 5, 3), i, np.uint8) for i in range(7)]
    dataset = as_dataset((images, [np.zeros((4 + i, 5), int) + i % 2 for i in range(7)]))
    part = dataset.spread(3)
    assert [dataset.image_size(i) for i in (0, 6)] == [(4, 5), (10, 5)]
    assert part.names == ("000000", "000003", "000006")
    assert [int(image.max()) for image, _, _ in part] == [0, 3, 6]
    assert part.fingerprint() != dataset.fingerprint()
    assert part.spread(5) is part or part.spread(5).names == part.names
    assert any("3 of 7" in note for note in part.notes)


def test_data_sets_and_folders_pass(tmp_path):
    dataset = as_dataset((PHOTOS, MASKS))
    assert as_dataset(dataset) is dataset
    pil(PHOTOS[0]).save(tmp_path / "a.png")
    for folder in (tmp_path, str(tmp_path)):
        assert isinstance(as_dataset(folder), SegmentationDataset)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        as_dataset(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="load_dataset"):
        as_dataset("voc")
    with pytest.raises(ValueError, match="class_names"):
        as_dataset(tmp_path, ["a"])


class Endless(IterableDataset):
    def __iter__(self):
        return iter(PAIRS)


class Random(Items):
    def __getitem__(self, index: int) -> Any:
        return DRAWN.integers(0, 256, (4, 4, 3), dtype=np.uint8)


def broken_item(change: Any) -> Items:
    return Items([PAIRS[0], change])


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (PHOTOS[0], "images has shape"),
        ((PHOTOS[0], MASKS[0]), "images has shape"),
        ((PHOTOS, MASKS[0]), "masks has shape"),
        ((PHOTOS, MASKS[:2]), "3 images and 2 masks"),
        ((PHOTOS, MASKS, MASKS), "tuple of 3"),
        ((None, MASKS), "images"),
        ((PHOTOS, "masks"), "masks"),
        (PHOTOS.astype(np.float32) - 20, "image of item 0"),
        (PHOTOS.astype(np.int64), "image of item 0"),
        (PHOTOS[..., :2], "image of item 0"),
        ([], "empty"),
        (Endless(), "Endless"),
        ({"images": PHOTOS}, "dict"),
        (3, "int"),
        (None, "NoneType"),
        (broken_item((PHOTOS[0], 3)), "mask of item 1"),
        (broken_item((PHOTOS[0], MASKS[0] / 3)), "mask of item 1"),
        (broken_item((PHOTOS[0], MASKS[0] + 300)), "mask of item 1"),
        (broken_item((PHOTOS[0], MASKS[0].T)), "item 1"),
        (broken_item((PHOTOS[0], pil(PHOTOS[0]))), "mask of item 1"),
        (broken_item({"mask": MASKS[0]}), "item 1"),
        (broken_item((PHOTOS[0], MASKS[0], 3)), "item 1"),
        (broken_item("image.jpg"), "image of item 1"),
        (Random([0, 1]), "item 0"),
        (Items([(*PAIRS[0], "a"), (*PAIRS[1], "a")]), "'a' 2 times"),
    ],
)
def test_what_is_no_data_set_is_told_in_one_line(data: Any, named: str):
    with pytest.raises(ValueError, match=named) as problem:
        as_dataset(data)
    assert "\n" not in str(problem.value)
