"""COCO-Stuff from its four annotations, in every label set."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from leopart_kit.data.class_histogram import class_histogram
from leopart_kit.data.coco_labels import STUFF, THINGS, categories
from leopart_kit.data.coco_stuff import coco_stuff
from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.segmentation import SegmentationDataset
from tests.data.image_writers import SIZE, flat, write_image, write_mask

STUFF_DIR = "annotations/annotations/stuff_annotations"
PANOPTIC_DIR = "annotations/panoptic_annotations"
PERSON, BANANA, BANNER, WALL_TILE = 1, 52, 92, 176
ANNOTATED = sorted(categories(THINGS, STUFF))


def grid(*ids: int) -> np.ndarray:
    """Ids side by side in columns, repeated to the size of the test images."""
    columns = [ids[column % len(ids)] for column in range(SIZE[1])]
    return np.tile(np.array(columns, dtype=np.uint8), (SIZE[0], 1))


def row(dataset: SegmentationDataset, index: int = 0) -> list[int]:
    mask = dataset.load_mask(index)
    assert mask is not None
    return mask[0].tolist()


def write_maps(root: Path, folder: str, *masks: np.ndarray) -> Path:
    """Images 0, 1, … of val with one mask each."""
    for index, mask in enumerate(masks):
        write_image(root / "images/val2017" / f"{index:012}.jpg", mask.shape)
        write_mask(root / folder / f"{index:012}.png", mask)
    return root


ZERO_BASED = grid(PERSON - 1, BANANA - 1, BANNER - 1, WALL_TILE - 1, 255)
ONE_BASED = grid(PERSON, BANANA, BANNER, WALL_TILE, 0)


@pytest.mark.parametrize(
    ("label_set", "expected"),
    [
        ("stuff-27", [9, 2, 17, 18, 255]),
        ("stuff-15", [255, 255, 11, 12, 255]),
        ("things-12", [9, 4, 255, 255, 255]),
        ("full", [0, 46, 80, 164, 255]),
    ],
)
def test_both_encodings_give_the_same_classes(tmp_path: Path, label_set: str, expected: list[int]):
    write_maps(tmp_path / "zero", "stuffthingmaps/val2017", ZERO_BASED)
    write_maps(tmp_path / "one", "stuffthingmaps/val2017", ONE_BASED, grid(182))
    zero = coco_stuff(tmp_path / "zero", "val", label_set)
    one = coco_stuff(tmp_path / "one", "val", label_set)
    assert row(zero)[:5] == expected
    assert row(one)[:5] == expected
    assert "0-181 (255 occurs" in zero.notes[0]
    assert "1-182 (182 occurs" in one.notes[0]


@pytest.mark.parametrize(
    "folder",
    [
        "stuffthingmaps/val2017",
        "stuffthingmaps/val",
        "stuffthingmaps_trainval2017/val2017",
        "annotations/val2017",
    ],
)
def test_places_of_stuffthingmaps(tmp_path: Path, folder: str):
    write_maps(tmp_path, folder, ZERO_BASED)
    write_mask(tmp_path / folder / "000000000000_labelTrainIds.png", flat(182))
    dataset = coco_stuff(tmp_path, "val")
    assert dataset.names == ("000000000000",)
    assert not any("no image" in note for note in dataset.notes)


@pytest.mark.parametrize("folder", ["val2017", "coco/images/val2017", "coco/val2017"])
def test_places_of_images(tmp_path: Path, folder: str):
    write_image(tmp_path / folder / "000000000000.jpg")
    write_mask(tmp_path / "stuffthingmaps/val2017/000000000000.png", ZERO_BASED)
    assert coco_stuff(tmp_path, "val")[0][2] == "000000000000"


@settings(max_examples=30, deadline=None)
@given(
    ids=hnp.arrays(np.int64, (4, 5), elements=st.sampled_from(ANNOTATED)),
    encoding=st.sampled_from(["0-181", "1-182"]),
)
def test_any_mask_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, ids: np.ndarray, encoding: str
):
    stored = ids - 1 if encoding == "0-181" else ids
    root = write_maps(tmp_path_factory.mktemp("coco"), "stuffthingmaps/val2017", stored)
    mask = coco_stuff(root, "val", "full", encoding=encoding).load_mask(0)
    assert mask is not None
    assert np.array_equal(np.array(ANNOTATED)[mask.numpy()], ids)


def test_stated_encoding_names_the_file_that_breaks_it(tmp_path: Path):
    write_maps(tmp_path, "stuffthingmaps/val2017", ZERO_BASED, grid(0, 182))
    with pytest.raises(ValueError, match="hold both 255"):
        coco_stuff(tmp_path, "val")
    zero = coco_stuff(tmp_path, "val", encoding="0-181")
    with pytest.raises(UnknownClassError, match=r"1\.png.*182"):
        zero.load_mask(1)
    one = coco_stuff(tmp_path, "val", encoding="1-182")
    with pytest.raises(UnknownClassError, match=r"0\.png.*255"):
        one.load_mask(0)
    with pytest.raises(ValueError, match="'zero'"):
        coco_stuff(tmp_path, "val", encoding="zero")


def test_undecidable_encoding_is_an_error(tmp_path: Path):
    write_maps(tmp_path, "stuffthingmaps/val2017", grid(0, 1, 100))
    with pytest.raises(ValueError, match="encoding"):
        coco_stuff(tmp_path, "val")


def test_stuff_15_comes_from_pixelmaps(tmp_path: Path):
    write_maps(tmp_path, f"{STUFF_DIR}/stuff_val2017_pixelmaps", grid(0, BANNER, WALL_TILE, 183))
    dataset = coco_stuff(tmp_path, "val", "stuff-15")
    assert row(dataset)[:4] == [255, 11, 12, 255]
    assert dataset.class_names[11:13] == ("textile", "wall")
    write_maps(tmp_path, f"{STUFF_DIR}/stuff_val2017_pixelmaps", grid(184))
    with pytest.raises(UnknownClassError, match="id 184"):
        coco_stuff(tmp_path, "val", "stuff-15").load_mask(0)


@pytest.mark.parametrize("name", ["semantic_segmentation", "semantic_segmenations"])
def test_things_12_comes_from_panoptic_masks(tmp_path: Path, name: str):
    write_maps(tmp_path, f"{PANOPTIC_DIR}/{name}_val2017", grid(0, PERSON, BANANA, 199))
    assert row(coco_stuff(tmp_path, "val", "things-12"))[:4] == [255, 9, 4, 255]
    # The merged wall of the panoptic masks (199) is a wall where nothing better is there.
    assert row(coco_stuff(tmp_path, "val", "stuff-27"))[:4] == [255, 9, 2, 18]


def test_raw_panoptic_masks_need_their_json(tmp_path: Path):
    segments = [{"id": 300, "category_id": PERSON}, {"id": 70_000, "category_id": 199}]
    ids = np.array([[300, 70_000, 0, 300]])
    pixels = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    folder = tmp_path / "annotations" / "panoptic_val2017"
    folder.mkdir(parents=True)
    Image.fromarray(pixels).save(folder / "000000000007.png")
    write_image(tmp_path / "val2017" / "000000000007.jpg", (1, 4))
    with pytest.raises(FileNotFoundError, match=r"panoptic_val2017\.json"):
        coco_stuff(tmp_path, "val", "things-12")
    content = {
        "annotations": [{"file_name": "000000000007.png", "segments_info": segments}],
        "categories": [{"id": 1, "supercategory": "person"}, {"id": 199, "supercategory": "wall"}],
    }
    json_file = folder.parent / "panoptic_val2017.json"
    json_file.write_text(json.dumps(content))
    assert row(coco_stuff(tmp_path, "val", "stuff-27")) == [9, 18, 255, 9]
    content["annotations"][0]["segments_info"] = segments[:1]
    json_file.write_text(json.dumps(content))
    with pytest.raises(UnknownClassError, match=r"7\.png"):
        coco_stuff(tmp_path, "val", "stuff-27").load_mask(0)
    json_file.write_text(json.dumps({**content, "annotations": []}))
    with pytest.raises(UnknownClassError, match=r"7\.png"):
        coco_stuff(tmp_path, "val", "stuff-27").load_mask(0)


def write_both(root: Path, panoptic: np.ndarray, pixelmap: np.ndarray) -> Path:
    write_maps(root, f"{PANOPTIC_DIR}/semantic_segmentation_val2017", panoptic)
    return write_maps(root, f"{STUFF_DIR}/stuff_val2017_pixelmaps", pixelmap)


def test_things_from_panoptic_and_stuff_from_pixelmaps(tmp_path: Path):
    write_both(tmp_path, grid(PERSON, 199, 199, 0), grid(0, WALL_TILE, 183, BANNER))
    assert row(coco_stuff(tmp_path, "val"))[:4] == [9, 18, 255, 17]
    assert row(coco_stuff(tmp_path, "val", "full"))[:4] == [0, 164, 255, 80]
    only = coco_stuff(tmp_path, "val", source="panoptic")
    assert row(only)[:4] == [9, 18, 18, 255]
    assert pickle.loads(pickle.dumps(only))[0][2] == only.names[0]


def test_two_masks_of_different_size_are_one_broken_sample(tmp_path: Path):
    write_both(tmp_path, grid(PERSON), flat(0, (3, 3)))
    with pytest.raises(BrokenSampleError, match=r"semantic.*\(8, 6\).*pixelmaps.*\(3, 3\)"):
        coco_stuff(tmp_path, "val").load_mask(0)


def test_source_must_hold_the_classes(tmp_path: Path):
    write_both(tmp_path, grid(PERSON), grid(0))
    with pytest.raises(ValueError, match="'pixelmaps'"):
        coco_stuff(tmp_path, "val", "things-12", source="pixelmaps")
    with pytest.raises(FileNotFoundError, match="stuffthingmaps/"):
        coco_stuff(tmp_path, "val", source="stuffthingmaps")


def test_unpaired_files_are_counted(tmp_path: Path):
    write_maps(tmp_path, "stuffthingmaps/val2017", ZERO_BASED, ZERO_BASED)
    write_image(tmp_path / "images/val2017" / "000000000005.jpg")
    for index in (6, 7):
        write_mask(tmp_path / "stuffthingmaps/val2017" / f"{index:012}.png", ZERO_BASED)
    dataset = coco_stuff(tmp_path, "val")
    assert len(dataset) == 2
    assert any(note.startswith("1 images have no mask in") for note in dataset.notes)
    assert any(note.startswith("2 masks in") for note in dataset.notes)


def test_curated_and_own_lists_restrict_the_split(tmp_path: Path):
    write_maps(tmp_path, "annotations/val2017", *[ZERO_BASED] * 3)
    curated = tmp_path / "curated/val2017/Coco164kFull_Stuff_Coarse_7.txt"
    with pytest.raises(FileNotFoundError, match="val2017"):
        coco_stuff(tmp_path, "val_curated")
    curated.parent.mkdir(parents=True)
    curated.write_text("000000000002\n000000000000\n")
    dataset = coco_stuff(tmp_path, "val_curated")
    assert dataset.names == ("000000000002", "000000000000")
    assert any("Coco164kFull_Stuff_Coarse_7.txt" in note for note in dataset.notes)
    (tmp_path / "mine.txt").write_text("000000000001.jpg\n")
    assert coco_stuff(tmp_path, "val", names_file="mine.txt").names == ("000000000001",)
    (tmp_path / "mine.txt").write_text("000000000009\n")
    with pytest.raises(FileNotFoundError, match=r"000000000009\.jpg"):
        coco_stuff(tmp_path, "val", names_file=tmp_path / "mine.txt")
    write_image(tmp_path / "images/val2017/000000000009.jpg")
    with pytest.raises(FileNotFoundError, match="000000000009"):
        coco_stuff(tmp_path, "val", names_file="mine.txt")


def test_what_is_missing_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="train_cur"):
        coco_stuff(tmp_path, "test")
    with pytest.raises(ValueError, match="'stuff'"):
        coco_stuff(tmp_path, "val", "stuff")
    with pytest.raises(FileNotFoundError, match="val2017"):
        coco_stuff(tmp_path, "val")
    (tmp_path / "val2017").mkdir()
    with pytest.raises(FileNotFoundError, match="val2017"):
        coco_stuff(tmp_path, "val")
    write_image(tmp_path / "val2017" / "000000000001.jpg")
    with pytest.raises(FileNotFoundError, match=r"stuffthingmaps.*panoptic"):
        coco_stuff(tmp_path, "val")
    (tmp_path / "stuffthingmaps/val2017").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="val2017"):
        coco_stuff(tmp_path, "val", source="stuffthingmaps")
    write_mask(tmp_path / "stuffthingmaps/val2017/000000000002.png", ZERO_BASED)
    with pytest.raises(FileNotFoundError, match="val2017"):
        coco_stuff(tmp_path, "val")


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("label_set", ["stuff-27", "stuff-15", "things-12"])
def test_real_coco_matches_the_areas_of_its_json(shared_dir: Path, split: str, label_set: str):
    root = shared_dir / "data" / "coco200"
    dataset = coco_stuff(root, split, label_set)
    assert len(dataset) == 100
    json_file = root / PANOPTIC_DIR / f"panoptic_{split}2017.json"
    content = json.loads(json_file.read_text())
    supercategory = {c["id"]: c["supercategory"] for c in content["categories"]}
    areas = dict.fromkeys(dataset.class_names, 0)
    for annotation in content["annotations"]:
        for segment in annotation["segments_info"]:
            name = supercategory[segment["category_id"]]
            if name in areas:
                areas[name] += segment["area"]
    assert class_histogram(dataset).pixels.tolist() == list(areas.values())


def test_real_coco_first_image(shared_dir: Path):
    """Image 139: the two persons have 2,840 and 439 pixels in the panoptic JSON."""
    dataset = coco_stuff(shared_dir / "data" / "coco200", "val", "things-12")
    image, mask, name = dataset[0]
    assert name == "000000000139"
    assert image.shape == (3, 426, 640)
    assert mask is not None
    assert int((mask == dataset.class_names.index("person")).sum()) == 3279
    raw = coco_stuff(shared_dir / "data/coco200", "val", "full", source="panoptic+pixelmaps")
    full = raw.load_mask(0)
    assert full is not None
    assert int((full == 0).sum()) == 3279
