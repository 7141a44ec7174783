"""Which samples a run sees, in which order, and how they are augmented."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from leopart_kit.data import ImagesOf, ImagesWithTokens
from leopart_kit.data.image_files import LeastImage
from leopart_kit.data.loading import load_dataset
from leopart_kit.data.multi_crop import MultiCropTransform
from leopart_kit.training.loader import TrainingLoader
from leopart_kit.training.randomness import (
    capture_random_state,
    derive_seed,
    restore_random_state,
    seed_everything,
)
from leopart_kit.training.sampler import ResumableSampler, SampleKey, steps_for_epochs
from leopart_kit.training.samples import SeededSamples
from tests.training.tiny_training import Vectors, add_noise

sizes = st.tuples(st.integers(1, 12), st.integers(1, 5), st.integers(1, 3), st.integers(0, 9))


def stream(num: int, batch: int, count: int, **more: int) -> list[list[SampleKey]]:
    return list(islice(ResumableSampler(num, batch, seed=2, **more), count))


@given(sizes)
def test_each_epoch_is_a_permutation(size: tuple[int, int, int, int]):
    num, batch, _, _ = size
    keys = [key for b in stream(num, batch, 3 * num) for key in b][: 3 * num]
    for epoch in range(3):
        part = keys[epoch * num : (epoch + 1) * num]
        assert {key.epoch for key in part} == {epoch}
        assert sorted(key.index for key in part) == list(range(num))


@given(sizes)
def test_it_can_start_at_any_batch(size: tuple[int, int, int, int]):
    num, batch, _, first = size
    assert stream(num, batch, first + 4)[first:] == stream(num, batch, 4, first_batch=first)


@given(sizes)
def test_processes_together_read_the_batches_of_one(size: tuple[int, int, int, int]):
    num, batch, world, first = size
    ranks = [
        stream(num, batch, 5, rank=rank, world_size=world, first_batch=first)
        for rank in range(world)
    ]
    together = [[key for part in parts for key in part] for parts in zip(*ranks, strict=True)]
    assert together == stream(num, batch * world, 5, first_batch=first)


def test_epochs_and_seeds_differ():
    orders = {
        tuple(key.index for key in keys)
        for seed in (0, 1)
        for keys in islice(ResumableSampler(30, 30, seed), 3)
    }
    assert len(orders) == 6


def test_bad_sampler():
    with pytest.raises(ValueError, match="holds no images"):
        ResumableSampler(0, 1, 0)
    with pytest.raises(ValueError, match="batch_size"):
        ResumableSampler(3, 0, 0)
    with pytest.raises(ValueError, match="rank 2"):
        ResumableSampler(3, 1, 0, rank=2, world_size=2)


def test_steps_for_epochs():
    assert steps_for_epochs(2, 100, 32) == 7  # 200 images in steps of 32
    assert steps_for_epochs(0.5, 64, 32) == 1


def draw_from_all(item: Tensor) -> Tensor:
    drawn = torch.tensor([random.random(), np.random.rand()], dtype=torch.float64)
    return torch.cat([item[:1].double(), drawn, torch.rand(1).double()])


def test_augmentation_depends_on_seed_epoch_and_index_alone():
    samples = SeededSamples(Vectors(), draw_from_all, seed=1)
    first = samples[SampleKey(0, 3)].data
    torch.rand(5)
    assert torch.equal(samples[SampleKey(0, 3)].data, first)
    others = [samples[SampleKey(1, 3)], samples[SampleKey(0, 4)]]
    others.append(SeededSamples(Vectors(), draw_from_all, seed=2)[SampleKey(0, 3)])
    for other in others:
        assert not (other.data[1:] == first[1:]).any()


def test_augmentation_leaves_the_global_generators_alone():
    samples = SeededSamples(Vectors(), draw_from_all, seed=1)
    seed_everything(6)
    untouched = draw_from_all(torch.zeros(1))
    seed_everything(6)
    samples[SampleKey(0, 0)]
    assert torch.equal(draw_from_all(torch.zeros(1)), untouched)


def test_random_state_survives_a_file(tmp_path):
    np.random.standard_normal()  # leaves a second normal cached inside the generator
    torch.save(capture_random_state(), tmp_path / "state.pt")
    expected = draw_from_all(torch.zeros(1)), np.random.standard_normal()
    seed_everything(0)
    restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(draw_from_all(torch.zeros(1)), expected[0])
    assert np.random.standard_normal() == expected[1]


def test_derived_seeds_do_not_collide():
    seeds = {derive_seed(a, b, c) for a in range(8) for b in range(8) for c in range(8)}
    assert len(seeds) == 512
    assert max(seeds) < 2**63


def loaded(loader: TrainingLoader, first: int, count: int) -> list:
    batches = loader.batches(first)
    found = list(islice(batches, count))
    batches.close()  # pyright: ignore[reportAttributeAccessIssue]
    return found


def test_batches_do_not_depend_on_the_workers_or_the_global_generator():
    samples = SeededSamples(Vectors(7), add_noise, seed=1)
    alone = loaded(TrainingLoader(samples, 3), 0, 6)
    torch.rand(9)
    state = torch.get_rng_state()
    helped = loaded(TrainingLoader(samples, 3, num_workers=2), 2, 4)
    assert torch.equal(torch.get_rng_state(), state)
    for one, other in zip(alone[2:], helped, strict=True):
        assert torch.equal(one.data, other.data)


def test_a_broken_sample_is_replaced_by_the_next_good_one():
    samples = SeededSamples(Vectors(5, broken=(4, 0)), lambda x: x, seed=1)
    item = samples[SampleKey(0, 4)]
    assert torch.equal(item.data, Vectors(5)[1])
    assert item.broken == ("image_4.jpg is truncated", "image_0.jpg is truncated")
    batch = next(TrainingLoader(samples, 5).batches())
    assert set(batch.broken) == set(item.broken)


class Labelled:
    """A labelled data set without a way to get at its masks."""

    def __len__(self) -> int:
        return 2

    def load_image(self, index: int) -> Tensor:
        return torch.full((3, 1, 1), index)

    def load_at_least(self, index: int, least: LeastImage) -> Tensor:
        return self.load_image(index)

    def image_path(self, index: int) -> Path:
        return Path(f"photos/{index}.jpg")


def too_small(item: Tensor) -> Tensor:
    raise ValueError("the image is smaller than a view")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_other_errors_of_a_sample_stop_in_one_line_with_its_file(num_workers: int):
    samples = SeededSamples(ImagesOf(Labelled()), too_small, 0)
    loader = TrainingLoader(samples, 1, num_workers=num_workers)
    with pytest.raises(ValueError, match=r"^photos/[01]\.jpg: the image is smaller than a view$"):
        next(loader.batches())
    with pytest.raises(ValueError, match=r"^item \d+: the image is smaller than a view$"):
        next(TrainingLoader(SeededSamples(Vectors(), too_small, 0), 1).batches())


def test_bad_loader():
    with pytest.raises(ValueError, match="holds no images"):
        SeededSamples(Vectors(0), add_noise, seed=0)
    samples = SeededSamples(Vectors(), add_noise, seed=0)
    with pytest.raises(ValueError, match="batch_size"):
        TrainingLoader(samples, 0)
    with pytest.raises(ValueError, match="num_workers"):
        TrainingLoader(samples, 1, num_workers=-1)


def test_images_of_a_labelled_set_leave_the_masks_unread():
    images = ImagesOf(Labelled())
    assert len(images) == 2
    assert images[1].tolist() == [[[1]], [[1]], [[1]]]


def test_images_come_with_the_tokens_of_the_same_image(tmp_path: Path):
    """The second of three images has no tokens; those of the third lie at its own place."""
    stored = np.lib.format.open_memmap(
        tmp_path / "tokens.npy", mode="w+", dtype=np.float16, shape=(3, 6, 2)
    )
    stored[:] = np.arange(36).reshape(3, 6, 2)
    stored.flush()
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    images = ImagesWithTokens(ImagesOfThree(), mapped, indices=[0, 2], grid=(2, 3))
    assert len(images) == 2
    image, tokens = images[1]
    assert image.tolist() == [[[2]], [[2]], [[2]]]
    assert tokens.shape == (2, 3, 2)
    assert tokens[1, 0].tolist() == [24 + 6, 24 + 7]
    assert images.image_path(1) == Path("photos/2.jpg")
    tokens.zero_()  # a copy: the file is read only


class ImagesOfThree(Labelled):
    def __len__(self) -> int:
        return 3


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_augmentation_has_one_thread_and_gives_the_others_back():
    samples = SeededSamples(Vectors(), lambda _: torch.get_num_threads(), seed=0)
    assert samples[SampleKey(0, 0)].data == 1
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_real_views_are_the_same_with_and_without_workers(shared_dir: Path):
    dataset = load_dataset("camvid", shared_dir / "data" / "CamVid", "train")
    samples = SeededSamples(ImagesOf(dataset), MultiCropTransform(), seed=0)
    alone = loaded(TrainingLoader(samples, 2), 2, 2)
    helped = loaded(TrainingLoader(samples, 2, num_workers=1), 2, 2)
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one.data.crop_boxes, other.data.crop_boxes)
        for view, same in zip(one.data.views, other.data.views, strict=True):
            assert torch.equal(view, same)
