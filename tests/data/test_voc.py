"""Pascal VOC in its three layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from leopart_kit.data.class_histogram import class_histogram
from leopart_kit.data.errors import UnknownClassError
from leopart_kit.data.palettes import voc_colormap
from leopart_kit.data.voc import voc
from tests.data.image_writers import flat, write_image, write_mask

VOC_IDS = st.one_of(st.integers(0, 20), st.just(255))


def write_voc(base: Path, names: list[str], split: str = "val", **folders: str) -> Path:
    """VOC2012 under `base`; masks hold the position of the name."""
    images = folders.get("images", "JPEGImages")
    lists = folders.get("lists", "ImageSets/Segmentation")
    masks = folders.get("masks", "SegmentationClass")
    for index, name in enumerate(names):
        write_image(base / images / f"{name}.jpg")
        write_mask(base / masks / f"{name}.png", flat(index), palette=True)
    (base / lists).mkdir(parents=True, exist_ok=True)
    (base / lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return base


@pytest.mark.parametrize("below", [".", "VOC2012", "VOCdevkit/VOC2012"])
def test_root_may_be_any_of_the_folders(tmp_path: Path, below: str):
    write_voc(tmp_path / below, ["2007_000033", "2007_000042"])
    dataset = voc(tmp_path, "val")
    assert dataset.names == ("2007_000033", "2007_000042")
    mask = dataset.load_mask(1)
    assert mask is not None
    assert mask.unique().tolist() == [1]
    assert dataset.has_background
    assert dataset.class_names[15] == "person"


@pytest.mark.parametrize(
    ("split", "masks"),
    [("train", "SegmentationClassAug"), ("trainaug", "SegmentationClassAug"),
     ("val", "SegmentationClass")],
)  # fmt: skip
def test_leopart_layout(tmp_path: Path, split: str, masks: str):
    write_voc(tmp_path, ["a", "b"], split, images="images", lists="sets", masks=masks)
    dataset = voc(tmp_path, split)
    assert dataset.names == ("a", "b")
    assert dataset.notes == (f"masks from {masks}",)


def test_train_prefers_the_official_masks(tmp_path: Path):
    write_voc(tmp_path, ["a"], "train")
    write_voc(tmp_path, ["a"], "train", masks="SegmentationClassAug")
    assert voc(tmp_path, "train").notes == ("masks from SegmentationClass",)


def test_list_of_pairs_and_its_other_spelling(tmp_path: Path):
    write_voc(tmp_path, ["a", "b"], "trainaug", masks="SegmentationClassAug")
    lists = tmp_path / "ImageSets/Segmentation"
    (lists / "trainaug.txt").unlink()
    (lists / "train_aug.txt").write_text(
        "/JPEGImages/b.jpg /SegmentationClassAug/b.png\r\n\n"
        "/JPEGImages/a.jpg /SegmentationClassAug/a.png"
    )
    dataset = voc(tmp_path, "trainaug")
    assert dataset.names == ("b", "a")
    mask = dataset.load_mask(0)
    assert mask is not None
    assert mask.unique().tolist() == [1]


def test_pairs_choose_their_mask_folder(tmp_path: Path):
    write_voc(tmp_path, ["a"], "val")
    write_mask(tmp_path / "SegmentationClassAug" / "a.png", flat(9))
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text(
        "/JPEGImages/a.jpg /SegmentationClassAug/a.png"
    )
    mask = voc(tmp_path, "val").load_mask(0)
    assert mask is not None
    assert mask.unique().tolist() == [9]


@settings(max_examples=25, deadline=None)
@given(
    masks=st.lists(hnp.arrays(np.uint8, (4, 5), elements=VOC_IDS), min_size=1, max_size=3),
    form=st.sampled_from(["palette", "grey", "rgb"]),
)
def test_any_mask_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, masks: list[np.ndarray], form: str
):
    root = tmp_path_factory.mktemp("voc")
    names = [f"n{index}" for index in range(len(masks))]
    write_voc(root, names)
    for name, ids in zip(names, masks, strict=True):
        write_image(root / "JPEGImages" / f"{name}.jpg", (4, 5))
        path = root / "SegmentationClass" / f"{name}.png"
        if form == "rgb":
            Image.fromarray(voc_colormap()[ids]).save(path)
        else:
            write_mask(path, ids, palette=form == "palette")
    for (image, mask, _), ids in zip(voc(root, "val"), masks, strict=True):
        assert mask is not None
        assert image.shape == (3, 4, 5)
        assert np.array_equal(mask.numpy(), ids)


def test_id_outside_names_file_and_id(tmp_path: Path):
    write_voc(tmp_path, ["a"])
    write_mask(tmp_path / "SegmentationClass" / "a.png", flat(21))
    with pytest.raises(UnknownClassError, match=r"a\.png.*21"):
        voc(tmp_path, "val").load_mask(0)


def test_what_is_missing_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="VOC"):
        voc(tmp_path, "val")
    write_voc(tmp_path, ["a", "b", "c"])
    with pytest.raises(ValueError, match="'test'"):
        voc(tmp_path, "test")
    with pytest.raises(FileNotFoundError, match=r"train\.txt"):
        voc(tmp_path, "train")
    (tmp_path / "JPEGImages" / "b.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.jpg.*3"):
        voc(tmp_path, "val")
    write_image(tmp_path / "JPEGImages" / "b.jpg")
    for name in "bc":
        (tmp_path / "SegmentationClass" / f"{name}.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.png.*3"):
        voc(tmp_path, "val")
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"val\.txt"):
        voc(tmp_path, "val")


def test_trainaug_needs_its_masks(tmp_path: Path):
    write_voc(tmp_path, ["a"], "trainaug")
    with pytest.raises(FileNotFoundError, match="'trainaug'"):
        voc(tmp_path, "trainaug")


def test_real_voc(shared_dir: Path):
    dataset = voc(shared_dir / "data" / "VOCdevkit", "val")
    assert len(dataset) == 120
    assert len(voc(shared_dir / "data" / "VOCdevkit" / "VOC2012", "train")) == 240
    mask_file = shared_dir / "data/VOCdevkit/VOC2012/SegmentationClass" / f"{dataset.names[0]}.png"
    image, mask, _ = dataset[0]
    assert mask is not None
    assert mask.shape == image.shape[1:]
    assert np.array_equal(mask.numpy(), np.array(Image.open(mask_file)))
    histogram = class_histogram(dataset)
    # Dog is the most frequent object, aeroplane does not occur, the border is about 5 %.
    assert histogram.images[12] == 38
    assert histogram.images[1] == 0
    assert (
        0.04 < histogram.ignored_pixels / (histogram.pixels.sum() + histogram.ignored_pixels) < 0.07
    )
