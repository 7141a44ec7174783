"""Foreground, borders and sheets of `leopart export`, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leopart_kit.masks import PartModel
from tests.cli.export_command import (
    FOUR,
    error_of,
    export,
    labels_of,
    named_parts,
    two_colours,
    write_images,
)
from tests.evaluation.tiny_data import COLOURS


@pytest.fixture(autouse=True)
def in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


VIT = (
    "encoder=timm",
    "encoder.name=test_vit",
    "encoder.weights=random",
    "protocol.resolution=[64,64]",
    "protocol.pca_dim=null",
    "foreground.method=attention",
)
"""An encoder with attention: random, so that some parts lie in it more than others."""


def test_only_parts_inside_the_attention_count(images: Path, tmp_path: Path):
    out = tmp_path / "out"
    run = (f"images={images}", FOUR, *VIT, "foreground.mass=0.6")
    export(*run, f"output_dir={out}")
    model = PartModel.load(out / "model.npz")
    kept = np.flatnonzero(model.foreground)
    assert 0 < len(kept) < 4
    found = {
        int(label) for name in ("a", "b", "x/a", "y/z/a") for label in labels_of(out, name).flat
    }
    assert found - {0} <= {int(cluster) + 1 for cluster in kept}
    assert 0 in found, "all else is background"
    assert sorted(named_parts(out)) == [str(cluster) for cluster in kept]
    assert f"foreground: {len(kept)} of 4 parts" in (out / "export_masks.log").read_text()
    every = tmp_path / "every"
    export(*run, "foreground.threshold=0.001", f"output_dir={every}")
    assert PartModel.load(every / "model.npz").foreground.sum() >= len(kept)


def test_foreground_that_no_part_reaches(images: Path, tmp_path: Path):
    out = f"output_dir={tmp_path / 'out'}"
    message = error_of(
        f"images={images}", FOUR, *VIT, "foreground.mass=0.1", "foreground.threshold=1", out
    )
    assert re.search(
        r"no part reaches foreground\.threshold=1; the highest is 0\.\d\d: lower", message
    )
    assert not list(tmp_path.rglob("masks/*"))


BAD = [
    (["images=IMAGES", FOUR, "foreground.method=attention"], "attention"),
    ([], "images is not set; add images="),
    (["images=nowhere", FOUR], "images=nowhere is no folder; set images to a folder of images"),
    (["images=2012", FOUR], "images=2012 is no folder"),
    (["images=IMAGES", FOUR, "names=3"], "3 does not exist; set names to"),
    (["images=IMAGES", "protocol.num_clusters=some"], "num_clusters must be a whole number"),
    (["images=IMAGES", "protocol.num_clusters=65"], "65 clusters are more than the 64 patches"),
    (["images=IMAGES", FOUR, "names=gone.json"], r"gone\.json does not exist; set names to"),
    (["images=IMAGES", FOUR, "names=NAMES"], "clusters that do not exist: 9, 12 .* 0 to 3"),
    (["images=IMAGES", "model=gone.npz"], r"gone\.npz does not exist; set model to"),
    (["images=IMAGES", "model=NAMES"], r"names\.json is not a part model"),
    (["images=IMAGES", "model=3"], "3 does not exist; set model to"),
    (["images=IMAGES", "model=0"], "0 does not exist; set model to"),
    (["images=IMAGES", "model=x.npz", FOUR], r"parts of model=x\.npz are fixed; leave out"),
    (
        ["images=IMAGES", "model=x.npz", "foreground.method=attention"],
        r"parts of model=x\.npz are fixed; leave out foreground\.method=attention",
    ),
    (["images=IMAGES", "model=x.npz", "communities.seed=1"], r"leave out communities\.seed=1"),
    (["images=IMAGES", FOUR, "+protocol.k=3"], "protocol has no setting 'k'"),
    (["images=IMAGES", FOUR, "output_dir=IMAGES/out"], "lies inside the folder of images"),
    (["images=IMAGES", FOUR, "output_dir=NAMES"], r"error: .*names\.json"),
]


@pytest.mark.parametrize(("overrides", "message"), BAD)
def test_mistakes_end_in_one_line(overrides: list[str], message: str, images: Path, tmp_path: Path):
    names = tmp_path / "names.json"
    names.write_text('{"9": "wheel", "12": "door", "0": "roof"}')
    output = [] if "output_dir" in "".join(overrides) else [f"output_dir={tmp_path / 'out'}"]
    filled = [
        text.replace("IMAGES", str(images)).replace("NAMES", str(names)) for text in overrides
    ]
    line = error_of(*filled, *output)
    assert re.search(message, line), line
    assert not list(tmp_path.rglob("masks/*"))


def test_the_classical_encoder_with_smooth_borders(tmp_path: Path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(2):
        two_colours(0, 1, (96, 64)).save(folder / f"{index}.png")
    export(
        f"images={folder}",
        "encoder=handcrafted",
        "protocol.num_clusters=2",
        "protocol.resolution=[96,64]",
        "protocol.standardize=false",
        "export.upsampling=linear",
        f"output_dir={tmp_path / 'out'}",
    )
    mask = labels_of(tmp_path / "out", "0")
    assert len(np.unique(mask[:40])) == len(np.unique(mask[56:])) == 1
    assert mask[0, 0] != mask[-1, 0]


def test_another_encoder_than_the_models_is_refused(images: Path, tmp_path: Path):
    first = tmp_path / "first"
    export(f"images={images}", FOUR, f"output_dir={first}")
    message = error_of(
        f"images={images}",
        f"model={first / 'model.npz'}",
        "encoder=handcrafted",
        f"output_dir={tmp_path / 'second'}",
    )
    assert "encoder tests.cli.mean_colours:mean_colours " in message


def test_a_sheet_for_every_twelve_images_in_the_colours_of_the_legend(tmp_path: Path):
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    for index in range(13):
        two_colours(index % 4, (index + 1) % 4).save(folder / f"{index:02d}.png")
    export("images=images", FOUR, "output_dir=out")
    classes = json.loads((out / "classes.json").read_text())
    for sheet, shown in (("overview.png", 4), ("overview_2.png", 2)):
        with Image.open(out / sheet) as image:
            below = np.asarray(image)[-40:].reshape(-1, 3)
        legend = set(map(tuple, below.tolist()))
        assert sum(tuple(item["colour"]) in legend for item in classes) == shown
    (folder / "12.png").unlink()
    export("images=images", FOUR, "output_dir=out")
    assert not (out / "overview_2.png").exists()


@pytest.mark.parametrize("size", [(300, 200), (600, 900)])
def test_refined_borders_lie_on_the_edges_of_the_image(tmp_path: Path, size: tuple[int, int]):
    """The edge lies where no border of patches does."""
    (tmp_path / "images").mkdir()
    edge = size[0] * 26 // 50
    ids = np.where(np.arange(size[0])[:, None] < edge, 0, 2) * np.ones(size, dtype=int)
    Image.fromarray(COLOURS[ids]).save("images/a.png")
    wrong = []
    for method in ("none", "bilateral_grid"):
        export(
            "images=images", "protocol.num_clusters=2", f"export.refine={method}", "output_dir=o"
        )
        labels = labels_of(Path("o"), "a")
        assert labels.shape == size
        top, bottom = labels[0, 0], labels[-1, 0]
        assert top != bottom
        wrong.append(float((labels != np.where(ids == 0, top, bottom)).mean()))
    assert wrong[1] < 0.5 * wrong[0]
