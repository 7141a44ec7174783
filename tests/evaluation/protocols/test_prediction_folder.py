"""Which file is whose prediction, and what it may hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leopart_kit.data import BrokenSampleError, UnknownClassError
from leopart_kit.evaluation.protocols.predictions.folder import (
    PredictedMaps,
    PredictionFolder,
    read_prediction,
)

IDS = np.array([[0, 3, 255], [7, 1, 0]])


def touch(root: Path, *names: str) -> PredictionFolder:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IDS.astype(np.uint8)).save(root / name)
    return PredictionFolder(root)


def test_files_are_found_by_the_whole_name_or_else_by_its_last_part(tmp_path: Path, caplog):
    folder = touch(tmp_path, "berlin/1.png", "berlin/2.png", "3.png", "ulm/4.png", "more/9.png")
    found = folder.match(["berlin/1", "bonn/2", "ulm/3", "4"])
    assert found == {
        "berlin/1": tmp_path / "berlin/1.png",
        "bonn/2": tmp_path / "berlin/2.png",
        "ulm/3": tmp_path / "3.png",
        "4": tmp_path / "ulm/4.png",
    }
    assert f"1 predictions in {tmp_path} belong to no sample" in caplog.text


def test_last_parts_that_are_not_unique_find_nothing(tmp_path: Path):
    folder = touch(tmp_path, "a/1.png", "b/1.png", "2.png")
    assert folder.match(["c/1", "a/2", "b/2"]) == {}
    assert set(folder.match(["c/1", "a/1"])) == {"a/1"}


def write_as(path: Path, ids: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, ids)
    elif path.suffix == ".npz":
        np.savez_compressed(path, prediction=ids)
    else:
        Image.fromarray(ids.astype(np.uint16 if ids.max() > 255 else np.uint8)).save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".npy", ".npz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_every_kind_of_file_gives_the_same_ids(tmp_path: Path, suffix: str, dtype):
    ids = IDS.astype(dtype)
    if dtype != np.uint8:
        ids[0, 0] = 40_000 if dtype == np.int32 else 300
    found = read_prediction(write_as(tmp_path / f"a{suffix}", ids))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, ids)


def test_palette_files_hold_the_ids_and_not_the_colours(tmp_path: Path):
    image = Image.fromarray(IDS.astype(np.uint8), mode="P")
    image.putpalette(list(range(255, -1, -1)) * 3)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_prediction(tmp_path / "a.png"), IDS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((2, 3), np.float32), r"a\.npy.*\[2, 3\]"),
        (np.zeros((1, 2, 3), np.uint8), r"a\.npy holds uint8 \[1, 2, 3\]"),
        (np.zeros((0, 3), np.uint8), r"uint8 \[0, 3\]"),
    ],
)
def test_arrays_that_are_no_map_of_ids_are_named(tmp_path: Path, content, message: str):
    np.save(tmp_path / "a.npy", content)
    with pytest.raises(ValueError, match=message):
        read_prediction(tmp_path / "a.npy")


def test_archives_of_several_arrays_are_named_with_what_they_hold(tmp_path: Path):
    np.savez(tmp_path / "a.npz", logits=IDS, ids=IDS)
    with pytest.raises(ValueError, match=r"a\.npz"):
        read_prediction(tmp_path / "a.npz")


@pytest.mark.parametrize("suffix", [".png", ".npy", ".npz"])
def test_broken_files_are_named(tmp_path: Path, suffix: str):
    path = write_as(tmp_path / f"a{suffix}", np.zeros((60, 60), np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BrokenSampleError, match=rf"a\{suffix}"):
        read_prediction(path)


def test_pickled_objects_are_not_loaded(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(BrokenSampleError, match=r"a\.npy"):
        read_prediction(tmp_path / "a.npy")


def test_colour_pictures_are_refused(tmp_path: Path):
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(UnknownClassError, match=r"a\.png"):
        read_prediction(tmp_path / "a.png")


def test_folders_without_predictions_say_so(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        PredictionFolder(tmp_path / "nowhere")
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / ".b.png").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="no prediction"):
        PredictionFolder(tmp_path)


def test_two_files_for_one_image_are_an_error(tmp_path: Path):
    touch(tmp_path, "a.png")
    np.save(tmp_path / "a.npy", IDS)
    with pytest.raises(ValueError, match=r"a\.npy"):
        PredictionFolder(tmp_path)


def test_the_fingerprint_is_of_names_and_contents(tmp_path: Path):
    one = touch(tmp_path / "one", "a.png", "b.png")
    same = touch(tmp_path / "two", "a.png", "b.png")
    assert one.fingerprint() == same.fingerprint()
    assert (one.name, same.name, one.weights) == ("one", "two", str(tmp_path / "one"))
    assert PredictionFolder(tmp_path / "one", "STEGO").name == "STEGO"
    renamed = touch(tmp_path / "three", "a.png", "c.png")
    assert renamed.fingerprint() != one.fingerprint()
    Image.fromarray(IDS.astype(np.uint8) + 1).save(tmp_path / "two" / "b.png")
    assert PredictionFolder(tmp_path / "two").fingerprint() != one.fingerprint()


def test_maps_are_read_when_they_are_asked_for(tmp_path: Path):
    maps = PredictedMaps([tmp_path / "a.npy", tmp_path / "b.npy"])
    np.save(tmp_path / "b.npy", IDS)
    assert len(maps) == 2
    np.testing.assert_array_equal(maps[1], IDS)
