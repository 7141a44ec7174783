"""`leopart_kit.evaluate` takes what people have: names, networks, folders, arrays, data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import Dataset

import leopart_kit
from leopart_kit import InContext, LinearProbe, Overclustering, RunSettings, Unsupervised27
from leopart_kit.data.scenes import SceneGenerator

SCENES = [SceneGenerator((64, 64)).scene(index) for index in range(6)]
IMAGES = np.stack([scene.image for scene in SCENES])
MASKS = np.stack([scene.objects for scene in SCENES]).astype(np.int64)
FAST = Overclustering(seeds=(0,), resolution=(64, 64), num_restarts=1, score_resolution=(32, 32))


class OwnData(Dataset):
    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: int) -> tuple[Image.Image, Image.Image]:
        mask = Image.fromarray(MASKS[index].astype(np.uint8))
        return Image.fromarray(IMAGES[index]), mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind, stack in (("images", IMAGES), ("masks", MASKS)):
        (tmp_path / kind).mkdir()
        for index, one in enumerate(stack):
            Image.fromarray(one.astype(np.uint8)).save(tmp_path / kind / f"{index}.png")
    return tmp_path


def test_a_name_and_a_folder_are_enough(folder: Path):
    result = leopart_kit.evaluate("handcrafted", str(folder), run=RunSettings(device="cpu"))
    assert result.protocol == "overclustering"
    assert result.dataset.num_images == 6
    assert result.metrics["miou"].mean > 0


def test_folder_arrays_and_data_set_give_one_figure(folder: Path):
    results = [
        leopart_kit.evaluate("handcrafted", data, FAST)
        for data in (folder, (IMAGES, MASKS), OwnData())
    ]
    assert len({result.metrics["miou"].mean for result in results}) == 1
    assert results[1].dataset.name == "arrays"


def test_a_function_is_measured_as_the_encoder_that_it_is():
    found = leopart_kit.evaluate(lambda x: F.avg_pool2d(x, 8), (IMAGES, MASKS), FAST)
    built = leopart_kit.Encoder.from_module(lambda x: F.avg_pool2d(x, 8), 8, 3)
    expected = leopart_kit.evaluate(built, (IMAGES, MASKS), FAST)
    assert found.metrics["miou"].mean == expected.metrics["miou"].mean


@pytest.mark.parametrize(
    "protocol",
    [
        LinearProbe(seeds=(0,), resolution=(64, 64), epochs=1, batch_size=2),
        InContext(seeds=(0,), resolution=(64, 64)),
        Unsupervised27(seeds=(0,), crop=64, resolution=(64, 64), refinement=()),
    ],
    ids=lambda protocol: protocol.name,
)
def test_protocols_of_crops_and_of_training_images_take_arrays(protocol):
    train = None if isinstance(protocol, Unsupervised27) else (IMAGES, MASKS)
    run = RunSettings(shared_images="allow")
    result = leopart_kit.evaluate("handcrafted", (IMAGES, MASKS), protocol, run, train=train)
    assert result.metrics["miou"].mean > 0


def test_the_store_is_of_the_content(tmp_path: Path):
    run = RunSettings(cache_dir=tmp_path)
    for images in (IMAGES, IMAGES.copy(), 255 - IMAGES):
        leopart_kit.evaluate("handcrafted", (images, MASKS), FAST, run)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


def test_what_does_not_fit_is_told(folder: Path):
    with pytest.raises(ValueError, match="unknown encoder"):
        leopart_kit.evaluate("handcraft", folder)
    with pytest.raises(ValueError, match="overclusterin"):
        leopart_kit.evaluate("handcrafted", folder, "overclusterin")
    with pytest.raises(ValueError, match="predictions"):
        leopart_kit.evaluate("handcrafted", folder, "predictions")
