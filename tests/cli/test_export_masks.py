"""`leopart export` on tiny folders: what it leaves, what stays the same in the next folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from leopart_kit.masks import PartModel
from tests.cli.export_command import (
    ALL,
    FOUR,
    class_of_colour,
    error_of,
    export,
    labels_of,
    named_parts,
    two_colours,
    write_images,
)
from tests.evaluation.tiny_data import SIDE


@pytest.fixture(autouse=True)
def in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def test_a_run_leaves_the_model_the_classes_and_every_format(images: Path, tmp_path: Path):
    export(f"images={images}", FOUR, ALL, f"output_dir={tmp_path / 'out'}")
    out = tmp_path / "out"
    assert sorted(class_of_colour(out)) == [1, 2, 3, 4], "every colour is a part"
    top, bottom = labels_of(out, "x/a")[: SIDE // 2], labels_of(out, "x/a")[SIDE // 2 :]
    assert len(np.unique(top)) == len(np.unique(bottom)) == 1
    classes = json.loads((out / "classes.json").read_text())
    assert [item["name"] for item in classes] == ["part_000", "part_001", "part_002", "part_003"]
    coco = COCO(str(out / "coco/instances.json"))
    assert sorted(image["file_name"] for image in coco.loadImgs(coco.getImgIds())) == [
        "a.png",
        "b.png",
        "x/a.png",
        "y/z/a.png",
    ]
    assert sum(annotation["area"] for annotation in coco.loadAnns(coco.getAnnIds())) == 4 * SIDE**2
    for name in ("a", "b", "x/a", "y/z/a"):
        assert (out / "labelme" / f"{name}.json").is_file()
        assert (out / "yolo/labels" / f"{name}.txt").is_file()
        assert (out / "coco/panoptic" / f"{name}.png").is_file()
    assert (out / "yolo/images/x/a.png").is_file()
    assert PartModel.load(out / "model.npz").num_clusters == 4
    assert "8 regions" in (out / "export_masks.log").read_text()


def test_parts_and_names_keep_their_identity_in_a_second_folder(images: Path, tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    export(f"images={images}", FOUR, f"output_dir={first}")
    red, green, blue, yellow = class_of_colour(first)
    names = {str(red - 1): "warm", str(yellow - 1): "warm", str(blue - 1): "background"}
    (tmp_path / "names.json").write_text(json.dumps(names))
    named = tmp_path / "named"
    model = f"model={first / 'model.npz'}"
    export(f"images={images}", model, "names=names.json", f"output_dir={named}")
    warm = min(red, yellow)
    assert class_of_colour(named) == [warm, green, 0, warm]

    other = tmp_path / "other"
    other.mkdir()
    two_colours(3, 2, (40, 64)).save(other / "new.png")
    two_colours(1, 1).save(other / "flat.png")
    export(f"images={other}", f"model={named / 'model.npz'}", f"output_dir={second}")
    mask = labels_of(second, "new")
    assert mask.shape == (40, 64)
    assert (mask[2, 2], mask[-2, 2]) == (warm, 0)
    assert np.unique(labels_of(second, "flat")).tolist() == [green]
    assert (second / "classes.json").read_text() == (named / "classes.json").read_text()


def test_objects_are_parts_that_meet(tmp_path: Path):
    """Colours 0 and 1 meet, and 2 and 3, but never one of these with one of those."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(6):
        two_colours(*((0, 1) if index % 2 else (3, 2))).save(folder / f"{index}.png")
    out = tmp_path / "out"
    export(f"images={folder}", FOUR, "export.level=objects", f"output_dir={out}")
    found = [np.unique(labels_of(out, str(index))).tolist() for index in range(6)]
    assert sorted(found[:2]) == [[1], [2]]
    assert found[2:] == found[:2] * 2
    classes = json.loads((out / "classes.json").read_text())
    assert [(item["name"], len(item["clusters"])) for item in classes] == [
        ("object_000", 2),
        ("object_001", 2),
    ]
    again = tmp_path / "again"
    (tmp_path / "names.json").write_text('{"object_001": "ship"}')
    export(
        f"images={folder}",
        f"model={out / 'model.npz'}",
        "export.level=objects",
        "names=names.json",
        f"output_dir={again}",
    )
    renamed = json.loads((again / "classes.json").read_text())
    assert [item["name"] for item in renamed] == ["object_000", "ship"]
    assert [item["clusters"] for item in renamed] == [item["clusters"] for item in classes]

    message = error_of(
        f"images={folder}",
        FOUR,
        "export.level=objects",
        "communities.edge_threshold=2",
        f"output_dir={tmp_path / 'none'}",
    )
    assert "communities.edge_threshold=2" in message


def save_rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    two_colours(0, 1, (48, 32)).save(path, exif=exif)


def test_odd_images_are_exported_upright_at_their_size(tmp_path: Path):
    folder = tmp_path / "images"
    folder.mkdir()
    save_rotated(folder / "turned.png")
    two_colours(0, 1).convert("CMYK").save(folder / "cmyk.tif")
    grey = np.repeat([[0], [65535]], 16, axis=0).repeat(32, axis=1).astype(np.uint16)
    Image.fromarray(grey).save(folder / "grey16.png")
    Image.fromarray((grey // 257).astype(np.uint8)).save(folder / "grey.png")
    alpha = two_colours(0, 1).convert("RGBA")
    alpha.putalpha(128)
    alpha.save(folder / "alpha.png")
    Image.new("RGB", (1, 1), (250, 10, 10)).save(folder / "dot.png")
    Image.new("RGB", (200, 20_000), (250, 10, 10)).save(folder / "long.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    out = tmp_path / "out"
    export(f"images={folder}", "protocol.num_clusters=3", ALL, f"output_dir={out}")
    sizes = {path.stem: labels_of(out, path.stem).shape for path in (out / "masks").glob("*.png")}
    assert sizes == {
        "turned": (32, 48),
        "cmyk": (32, 32),
        "grey16": (32, 32),
        "grey": (32, 32),
        "alpha": (32, 32),
        "dot": (1, 1),
        "long": (20_000, 200),
    }
    # Shown turned, the upper colour is on the right.
    turned = labels_of(out, "turned")
    assert len(np.unique(turned[:, :24])) == len(np.unique(turned[:, 24:])) == 1
    assert turned[0, 0] != turned[0, -1]
    assert len(np.unique(labels_of(out, "long"))) == 1
    np.testing.assert_array_equal(labels_of(out, "grey16"), labels_of(out, "grey"))
    log = (out / "export_masks.log").read_text()
    assert "broken.jpg" in log
    assert "1 images" in log


def test_a_second_run_goes_on_with_the_features_and_repeats_the_masks(images: Path, tmp_path: Path):
    out = tmp_path / "out"
    run = [f"images={images}", FOUR, ALL, f"output_dir={out}"]
    export(*run)
    written = {path: path.read_bytes() for path in out.rglob("*") if path.suffix == ".json"}
    (tokens,) = out.rglob("tokens.npy")
    before = tokens.stat().st_mtime_ns
    (out / "masks/a.png").unlink()
    export(*run)
    assert tokens.stat().st_mtime_ns == before
    assert (out / "masks/a.png").is_file()
    for path, content in written.items():
        assert path.read_bytes() == content, path


def test_files_of_any_name_are_exported_and_forgotten_with_their_image(
    images: Path, tmp_path: Path
):
    odd, long = os.fsdecode(b"caf\xe9"), "n" * 246
    for name in (odd, long):
        shutil.copy(images / "a.png", images / f"{name}.png")
    (images / f"broken {odd}.jpg").write_bytes(b"no image")
    out = tmp_path / "out"
    run = [f"images={images}", FOUR, ALL, f"output_dir={out}"]
    export(*run)
    coco = COCO(str(out / "coco/instances.json"))
    files = {image["file_name"] for image in coco.loadImgs(coco.getImgIds())}
    assert {f"{odd}.png", f"{long}.png"} <= files
    assert all((images / file).is_file() for file in files)
    for name in (odd, long):
        assert json.loads((out / f"labelme/{name}.json").read_text())["imagePath"] == (
            f"../../images/{name}.png"
        )
        assert (out / f"masks/{name}.png").is_file()
        (images / f"{name}.png").unlink()
    export(*run)
    assert len(list((out / "yolo/images").rglob("*.png"))) == 4
    assert not any((out / f"masks/{name}.png").exists() for name in (odd, long))
    log = (out / "export_masks.log").read_text("utf-8")
    assert "10 files" in log
    assert "caf\\udce9" in log


def test_the_page_holds_every_part_and_its_names_go_to_another_folder(images: Path, tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    export(f"images={images}", FOUR, f"output_dir={first}")
    assert sorted(named_parts(first)) == ["0", "1", "2", "3"]
    red, green, blue, yellow = class_of_colour(first)
    # As the page downloads it: one line a part, by number.
    names = dict(sorted({red - 1: "warm", yellow - 1: "warm", green - 1: "grass"}.items()))
    (tmp_path / "names.json").write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
    other = tmp_path / "other"
    other.mkdir()
    two_colours(3, 0).save(other / "new.png")
    two_colours(1, 2).save(other / "cool.png")
    export(
        f"images={other}",
        f"model={first / 'model.npz'}",
        "names=names.json",
        f"output_dir={second}",
    )
    warm = min(red, yellow)
    assert np.unique(labels_of(second, "new")).tolist() == [warm], "two clusters, one class"
    assert np.unique(labels_of(second, "cool")).tolist() == sorted([green, blue])
    classes = {
        item["id"]: item["name"] for item in json.loads((second / "classes.json").read_text())
    }
    assert classes == {warm: "warm", green: "grass", blue: f"part_{blue - 1:03d}"}
    assert sorted(named_parts(second)) == ["0", "1", "2", "3"]
    assert "grass" in (second / "parts.html").read_text(encoding="utf-8")
