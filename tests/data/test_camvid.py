"""CamVid with ids and with the original colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from leopart_kit.data.camvid import COLOR_IDS, camvid
from leopart_kit.data.class_histogram import class_histogram
from leopart_kit.data.errors import UnknownClassError
from tests.data.image_writers import flat, write_image, write_mask


@settings(max_examples=20, deadline=None)
@given(ids=hnp.arrays(np.uint8, (3, 4), elements=st.integers(0, 11)))
def test_any_mask_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, ids: np.ndarray):
    root = tmp_path_factory.mktemp("camvid")
    write_image(root / "train/a.jpg", (3, 4))
    write_mask(root / "trainannot/a.png", ids)
    mask = camvid(root, "train").load_mask(0)
    assert mask is not None
    assert np.array_equal(mask.numpy(), np.where(ids == 11, 255, ids))


def test_original_colours_are_gathered(tmp_path: Path):
    # sky, bridge, traffic cone, lane marking, parking block, vegetation, traffic light, fence,
    # bus, child, motorcycle, void
    colors = [(128, 128, 128), (0, 128, 64), (0, 0, 64), (128, 0, 192), (64, 192, 128),
              (192, 192, 0), (0, 64, 64), (64, 64, 128), (192, 128, 192), (192, 128, 64),
              (192, 0, 192), (0, 0, 0)]  # fmt: skip
    write_image(tmp_path / "val/a.png", (1, 12))
    (tmp_path / "val_labels").mkdir()
    Image.fromarray(np.array([colors], dtype=np.uint8)).save(tmp_path / "val_labels/a_L.png")
    mask = camvid(tmp_path, "val").load_mask(0)
    assert mask is not None
    assert mask.tolist() == [[*range(11), 255]]
    assert len(COLOR_IDS) == 32


def test_companions_that_macos_writes_are_no_images(tmp_path: Path):
    for name in ("a.png", "._a.png"):
        write_image(tmp_path / "val" / name)
        write_mask(tmp_path / "valannot" / name, flat(0))
    assert camvid(tmp_path, "val").names == ("a",)


def test_errors_name_file_and_cause(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="'val'"):
        camvid(tmp_path, "val")
    write_image(tmp_path / "val/a.png")
    with pytest.raises(FileNotFoundError, match="'val'"):
        camvid(tmp_path, "val")
    write_mask(tmp_path / "valannot/a.png", flat(12))
    with pytest.raises(UnknownClassError, match=r"a\.png.*12"):
        camvid(tmp_path, "val").load_mask(0)
    write_mask(tmp_path / "valannot/b.png", flat(0))
    assert camvid(tmp_path, "val").notes == (f"1 masks in {tmp_path / 'valannot'} have no image",)
    (tmp_path / "val/a.png").unlink()
    with pytest.raises(FileNotFoundError, match="val"):
        camvid(tmp_path, "val")


def test_real_camvid(shared_dir: Path):
    dataset = camvid(shared_dir / "data" / "CamVid", "val")
    assert len(dataset) == 101
    assert len(camvid(shared_dir / "data" / "CamVid", "train")) == 200
    image, mask, _ = dataset[0]
    assert mask is not None
    assert image.shape[1:] == mask.shape == (360, 480)
    histogram = class_histogram(dataset)
    shares = histogram.pixels / (360 * 480 * 101)
    # Street scenes: every class in every image, road and buildings lead, little is void.
    assert (histogram.images == 101).all()
    assert shares.argsort()[-2:].tolist() == [1, 3]
    assert int(histogram.pixels.sum()) + histogram.ignored_pixels == 360 * 480 * 101
    assert histogram.ignored_pixels / (360 * 480 * 101) < 0.03
