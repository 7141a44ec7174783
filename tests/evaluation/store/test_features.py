from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from leopart_kit.backbones import load_encoder
from leopart_kit.data import BrokenSampleError, SegmentationDataset, load_dataset
from leopart_kit.evaluation import FeatureStore, extract_features
from leopart_kit.evaluation.scores.resizing import resize_image
from tests.evaluation.tiny_data import (
    SIDE,
    MeanColour,
    ShiftedColour,
    digests,
    encoder_of,
    write_folder,
)

RESOLUTION = (SIDE, SIDE)


def extract(encoder, dataset, cache_dir: Path, **options) -> FeatureStore:
    options = {"resolution": RESOLUTION, "batch_size": 2, **options}
    return extract_features(encoder, dataset, cache_dir=cache_dir, **options)


def load_scenes(root: Path) -> SegmentationDataset:
    return load_dataset("scenes", root, "val", num_images=3, image_size=(64, 64))


def test_a_store_holds_the_tokens_of_the_encoder_in_fp16(tmp_path: Path):
    dataset = load_scenes(tmp_path / "scenes")
    encoder = load_encoder("random_vits16")
    store = extract(encoder, dataset, tmp_path / "cache", resolution=(64, 48))
    assert store.grid == (4, 3)
    assert store.tokens.dtype == np.float16
    for index in range(len(dataset)):
        image = resize_image(dataset.load_image(index), (64, 48))[None]
        with torch.inference_mode():
            tokens = encoder.patch_tokens(encoder.preprocess(image))
        expected = tokens[0].flatten(1).T  # rows of patches, as they are read
        stored = torch.from_numpy(np.array(store.tokens[index])).float()
        torch.testing.assert_close(stored, expected, rtol=1e-3, atol=2e-3)


def test_patches_are_stored_row_by_row(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 1)
    store = extract(encoder_of(MeanColour()), dataset, tmp_path)
    top, bottom = store.tokens[0, :8], store.tokens[0, 8:]
    np.testing.assert_allclose(top, [[250 / 255, 10 / 255, 10 / 255]] * 8, rtol=1e-3)
    np.testing.assert_allclose(bottom, [[10 / 255, 250 / 255, 10 / 255]] * 8, rtol=1e-3)


def test_chunks_give_all_tokens_in_order(tmp_path: Path):
    store = extract(encoder_of(MeanColour()), write_folder(tmp_path / "data", 5), tmp_path)
    chunks = list(store.chunks(images_per_chunk=2))
    assert [len(chunk) for chunk in chunks] == [32, 32, 16]
    expected = torch.from_numpy(np.array(store.tokens)).float().reshape(80, 3)
    torch.testing.assert_close(torch.cat(chunks), expected, rtol=0, atol=0)


def test_a_finished_store_is_reused_without_the_encoder(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 5)
    first, second = MeanColour(), MeanColour()
    folder = extract(encoder_of(first), dataset, tmp_path / "cache").folder
    before = digests(folder)
    assert extract(encoder_of(second), dataset, tmp_path / "cache").folder == folder
    assert first.batches == [2, 2, 1]
    assert second.batches == []
    assert digests(folder) == before


def test_whatever_changes_the_tokens_leads_to_another_store(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 2)
    cache = tmp_path / "cache"

    def folder(shift: float = 0.0, resolution: tuple[int, int] = RESOLUTION) -> Path:
        encoder = encoder_of(ShiftedColour(shift))
        return extract(encoder, dataset, cache, resolution=resolution).folder

    first = folder()
    assert folder(shift=0.5) != first
    assert folder(resolution=(SIDE, 2 * SIDE)) != first
    os.utime(dataset.image_path(0), (1, 1))
    assert folder() == first
    moved = shutil.copytree(tmp_path / "data", tmp_path / "moved")
    assert extract(encoder_of(ShiftedColour(0.0)), load_dataset("folder", moved, "all"), cache)
    assert len(list(cache.iterdir())) == 3, "the same images at another place"
    shutil.copy(dataset.image_path(1), dataset.image_path(0))
    assert folder() != first


def test_block_and_facet_lead_to_other_stores(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 1)
    settings = [{}, {"block": 3}, {"block": 3, "facet": "key"}]
    encoders = [load_encoder("random_vits16", **chosen) for chosen in settings]
    folders = [extract(encoder, dataset, tmp_path / "cache").folder for encoder in encoders]
    assert len(set(folders)) == 3


def test_names_of_custom_encoders_make_plain_folder_names(tmp_path: Path):
    def tokens(images: Tensor) -> Tensor:
        return images[:, :, ::8, ::8]

    store = extract(encoder_of(tokens), write_folder(tmp_path / "data", 1), tmp_path / "cache")
    assert store.folder.parent == tmp_path / "cache"
    assert not set(store.folder.name) & set(':<>/\\ "')


def test_a_broken_off_extraction_computes_only_what_is_missing(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 7)
    whole = extract(encoder_of(MeanColour()), dataset, tmp_path / "whole").folder
    with pytest.raises(KeyboardInterrupt):
        extract(encoder_of(MeanColour(fail_at_call=2)), dataset, tmp_path / "parts")
    rest = MeanColour()
    resumed = extract(encoder_of(rest), dataset, tmp_path / "parts").folder
    assert rest.batches == [2, 1]
    assert digests(resumed) == digests(whole)


def test_a_killed_extraction_goes_on_with_the_same_bytes(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 7)
    whole = extract(encoder_of(MeanColour()), dataset, tmp_path / "whole").folder
    script = textwrap.dedent(
        f"""
        import os, signal
        from tests.evaluation.tiny_data import *
        from leopart_kit.evaluation import extract_features

        class Kill(MeanColour):
            def __call__(self, images):
                if len(self.batches) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().__call__(images)

        encoder = encoder_of(Kill())
        encoder.name = "custom:MeanColour"
        encoder.settings = {{"function": "MeanColour"}}
        dataset = load_dataset("folder", {str(tmp_path / "data")!r}, "all")
        extract_features(encoder, dataset, cache_dir={str(tmp_path / "parts")!r},
                         resolution={RESOLUTION}, batch_size=2)
        """
    )
    repository = Path(__file__).parents[3]
    killed = subprocess.run([sys.executable, "-c", script], cwd=repository, check=False)
    assert killed.returncode == -signal.SIGKILL
    (lock,) = (tmp_path / "parts").rglob(".lock")
    (lock.parent / "stages").mkdir()
    (lock.parent / "stages/.heads-1.npz.4194305.tmp").touch()  # as if killed while writing it
    rest = MeanColour()
    resumed = extract(encoder_of(rest), dataset, tmp_path / "parts").folder
    assert rest.batches == [2, 1], "the killed process left nothing, or another store"
    assert digests(resumed) == digests(whole)
    assert list((resumed / "stages").iterdir()) == []


def test_a_broken_image_is_named_and_the_others_are_there(tmp_path: Path, caplog):
    dataset = write_folder(tmp_path / "data", 5)
    dataset.image_path(3).write_bytes(dataset.image_path(3).read_bytes()[:70])
    caplog.set_level("WARNING")
    store = extract(encoder_of(MeanColour()), dataset, tmp_path / "cache")
    assert store.indices.tolist() == [0, 1, 2, 4]
    assert list(store.broken) == [3]
    assert "im03.png" in store.broken[3]
    assert "im03.png" in caplog.text
    again = MeanColour()
    reused = extract(encoder_of(again), dataset, tmp_path / "cache")
    assert again.batches == []
    assert reused.broken == store.broken


def test_strict_stops_at_the_first_broken_image(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 6)
    dataset.image_path(1).write_bytes(b"not an image")
    counting = MeanColour()
    with pytest.raises(BrokenSampleError, match=r"im01\.png"):
        extract(encoder_of(counting), dataset, tmp_path / "cache", strict=True)
    assert counting.batches == [1], "the run went on after the broken image"
    extract(encoder_of(MeanColour()), dataset, tmp_path / "cache")
    with pytest.raises(BrokenSampleError, match=r"im01\.png"):
        extract(encoder_of(MeanColour()), dataset, tmp_path / "cache", strict=True)


def test_no_readable_image_is_an_error(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 3)
    for index in range(3):
        dataset.image_path(index).write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"im00\.png"):
        extract(encoder_of(MeanColour()), dataset, tmp_path / "cache")


def test_only_the_wanted_images_are_extracted(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 6)
    counting = MeanColour()
    store = extract(encoder_of(counting), dataset, tmp_path / "cache", indices=[1, 4, 5])
    assert counting.batches == [2, 1]
    assert store.indices.tolist() == [1, 4, 5]
    everything = MeanColour()
    assert len(extract(encoder_of(everything), dataset, tmp_path / "cache")) == 6
    assert sum(everything.batches) < 9, "batches that are whole were computed again"
    subset = extract(encoder_of(MeanColour()), dataset, tmp_path / "cache", indices=[2])
    assert subset.indices.tolist() == [2]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e5])
def test_tokens_that_fp16_cannot_hold_are_an_error(tmp_path: Path, value: float):
    def bad(images: Tensor) -> Tensor:
        return images[:, :, ::8, ::8] * 0 + value

    dataset = write_folder(tmp_path / "data", 1)
    with pytest.raises(ValueError, match="fp16"):
        extract(encoder_of(bad), dataset, tmp_path / "cache")


def test_a_full_disk_shows_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    dataset = write_folder(tmp_path / "data", 2)
    counting = MeanColour()
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(ValueError, match="cache_dir"):
            extract(encoder_of(counting), dataset, tmp_path / "cache")
    assert counting.batches == []
    assert not list((tmp_path / "cache").rglob("tokens.npy"))
    assert len(extract(encoder_of(counting), dataset, tmp_path / "cache")) == 2


def test_a_cache_that_cannot_be_made_says_what_to_change(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file/x.*cache_dir"):
        extract(
            encoder_of(MeanColour()), write_folder(tmp_path / "data", 1), tmp_path / "file" / "x"
        )


def test_a_second_writer_is_refused(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 2)
    folder = extract(encoder_of(MeanColour()), dataset, tmp_path / "cache").folder
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another run"):
            extract(encoder_of(MeanColour()), dataset, tmp_path / "cache")


def locked(dataset: SegmentationDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Image 3 cannot be read, as one of a format whose decoder is not installed."""

    def unless_locked(read: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def load(index: int, *rest: Any) -> Tensor:
            if index == 3:
                raise BrokenSampleError("im03.png is of an unknown format")
            return read(index, *rest)

        return load

    for name in ("load_image", "load_reduced"):
        monkeypatch.setattr(dataset, name, unless_locked(getattr(dataset, name)))


def test_an_image_that_could_not_be_read_for_a_while_is_read_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dataset = write_folder(tmp_path / "data", 5)
    with monkeypatch.context() as patch:
        locked(dataset, patch)
        first = extract(encoder_of(MeanColour()), dataset, tmp_path / "cache")
    assert list(first.broken) == [3]
    counting = MeanColour()
    second = extract(encoder_of(counting), dataset, tmp_path / "cache")
    assert second.folder == first.folder
    assert not second.broken
    assert len(second) == 5
    assert counting.batches == [2], "only its own batch is encoded anew"
    whole = extract(encoder_of(MeanColour()), dataset, tmp_path / "whole").folder
    assert digests(second.folder) == digests(whole)


def test_a_run_that_resumes_keeps_the_images_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dataset = write_folder(tmp_path / "data", 5)
    with monkeypatch.context() as patch:
        locked(dataset, patch)
        extract(encoder_of(MeanColour()), dataset, tmp_path / "cache")
    options = {"retry_broken": False}
    store = extract(encoder_of(MeanColour()), dataset, tmp_path / "cache", **options)
    assert list(store.broken) == [3]
