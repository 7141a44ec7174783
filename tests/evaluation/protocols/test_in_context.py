from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from leopart_kit.data import Sample, SegmentationDataset, class_histogram
from leopart_kit.data.label_sets import LabelSet
from leopart_kit.evaluation import FeatureStore, RunSettings, evaluate
from leopart_kit.evaluation.protocols.in_context import memory as in_context_memory
from leopart_kit.evaluation.protocols.in_context import search as in_context_search
from leopart_kit.evaluation.protocols.in_context.memory import Memory
from leopart_kit.evaluation.protocols.in_context.protocol import InContext
from leopart_kit.evaluation.protocols.training_split.augmented_images import AugmentedImages
from leopart_kit.evaluation.protocols.training_split.shares import drawn_images
from leopart_kit.image_level.evaluation.settings import KnnSettings
from tests.evaluation.tiny_data import NAMES, PATCH, SIDE, MeanColour, encoder_of, write_folder

SETTINGS = InContext(
    seeds=(0,), resolution=(SIDE, SIDE), score_resolution=(SIDE, SIDE), neighbours=3
)


def measure(protocol: InContext, dataset, train, folder: Path | None = None, encoder=None):
    return evaluate(
        encoder or encoder_of(MeanColour()),
        dataset,
        protocol,
        RunSettings(cache_dir=folder, shared_images="allow"),
        train=train,
    )


def relabelled(base: SegmentationDataset, masks, background: bool) -> SegmentationDataset:
    """The same images with masks of arrays, with or without a background class."""
    samples = [Sample(s.name, s.image_file, ("array",)) for s in base._samples]

    def read_mask(sample: Sample) -> np.ndarray:
        return masks[[s.name for s in samples].index(sample.name)].astype(np.int64)

    labels = LabelSet("arrays", NAMES, background)
    return SegmentationDataset("arrays", base.split, base.root, labels, samples, read_mask)


def test_a_memory_of_the_very_images_gives_their_patch_labels(tmp_path: Path):
    images = write_folder(tmp_path / "data", 8)
    result = measure(replace(SETTINGS, neighbours=1), images, images)
    assert result.metrics["miou"].mean == 100
    assert result.class_maps is not None
    for row in range(8):
        assert np.array_equal(result.class_maps[row], np.asarray(images[row][1]))
    assert (result.labels_used.fit, result.labels_used.select, result.labels_used.match) == (
        True,
        False,
        False,
    )


def test_details_name_the_memory(tmp_path: Path):
    images = write_folder(tmp_path / "data", 8)
    result = measure(replace(SETTINGS, seeds=(0, 1), memory_size=35), images, images)
    memories = result.details["memory"]
    assert [memory["entries"] for memory in memories] == [35, 35]
    assert memories[0]["index"] == "exact"
    assert sum(memories[0]["percent_of_class"].values()) == pytest.approx(100, abs=0.01)


def test_ignored_pixels_are_background_or_nothing(tmp_path: Path):
    base = write_folder(tmp_path / "data", 4)
    masks = [np.asarray(mask).copy() for _, mask, _ in base]
    for mask in masks:
        mask[:PATCH] = 255  # the first row of patches
    entries, percent = {}, {}
    for background in (True, False):
        data = relabelled(base, masks, background)
        [memory] = measure(SETTINGS, data, data).details["memory"]
        entries[background], percent[background] = memory["entries"], memory["percent_of_class"]
    assert entries == {True: 4 * 16, False: 4 * 12}
    # Class 0 lies in the upper half of image 0 and the lower half of image 3: 4 + 8 patches.
    assert percent[False]["background"] == pytest.approx(100 * 12 / 48, abs=0.01)
    assert percent[True]["background"] == pytest.approx(100 * 28 / 64, abs=0.01)


def test_a_class_that_no_training_image_shows_is_named_and_scores_zero(tmp_path, caplog):
    images = write_folder(tmp_path / "data", 4)
    # Image 0 shows classes 0 and 1, image 1 classes 1 and 2.
    result = measure(SETTINGS, images, images.spread(1))
    assert result.details["classes_missing_from_train"] == ["dog", "sheep"]
    assert "dog, sheep" in caplog.text
    assert [score.iou for score in result.scores[0].per_class[2:]] == [0, 0]


def test_crops_are_remembered_instead_of_images(tmp_path: Path):
    images = write_folder(tmp_path / "data", 6)
    result = measure(replace(SETTINGS, num_augmentations=2), images, images)
    [memory] = result.details["memory"]
    assert memory["entries"] == 2 * 6 * 16
    assert result.metrics["miou"].mean > 80  # the colours stay those of the classes


def test_a_run_goes_on_where_it_broke_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    images = write_folder(tmp_path / "data", 8)
    monkeypatch.setattr(in_context_search, "_IMAGES", 2)
    monkeypatch.setattr(in_context_search, "_TOGETHER", 1)
    expected = measure(SETTINGS, images, images)
    calls, real = [], in_context_search.nearest_neighbours

    def breaking(queries, *rest, **options):
        calls.append(len(queries))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(queries, *rest, **options)

    monkeypatch.setattr(in_context_search, "nearest_neighbours", breaking)
    encoder = encoder_of(MeanColour())
    with pytest.raises(KeyboardInterrupt):
        measure(SETTINGS, images, images, tmp_path / "cache", encoder)
    result = measure(SETTINGS, images, images, tmp_path / "cache", encoder)
    assert len(calls) == 5, "two blocks were kept, the third is searched again, then the fourth"
    assert result.metrics["miou"] == expected.metrics["miou"]
    measure(SETTINGS, images, images, tmp_path / "cache", encoder)
    assert len(calls) == 5


@pytest.mark.parametrize("unit", [1, 3, 8])
def test_what_was_searched_in_other_units_is_searched_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: int
):
    images, encoder = write_folder(tmp_path / "data", 8), encoder_of(MeanColour())
    expected = measure(SETTINGS, images, images, tmp_path / "cache", encoder)
    for labels in tmp_path.rglob("in_context-*.npy"):
        if ".done" not in labels.name:
            np.lib.format.open_memmap(labels, mode="r+")[:] = 0  # would be seen if it were reused
    monkeypatch.setattr(in_context_search, "_IMAGES", unit)
    found = measure(SETTINGS, images, images, tmp_path / "cache", encoder)
    assert found.metrics["miou"] == expected.metrics["miou"]


def test_faiss_finds_the_same_in_a_small_memory(tmp_path: Path):
    pytest.importorskip("faiss")
    images = write_folder(tmp_path / "data", 8)
    exact = measure(SETTINGS, images, images)
    found = measure(replace(SETTINGS, index="faiss"), images, images)
    assert found.metrics["miou"].mean == pytest.approx(exact.metrics["miou"].mean, abs=1)
    assert found.details["memory"][0]["index"].startswith("faiss IVF")


def test_seeds_draw_their_share_of_the_training_images(tmp_path: Path):
    images = write_folder(tmp_path / "data", 8)
    protocol = replace(SETTINGS, seeds=(0, 1), train_share=0.25, classes_left_out="allow")
    result = measure(protocol, images, images)
    assert [memory["training_images"] for memory in result.details["memory"]] == [2, 2]
    chosen = [drawn_images(range(8), 0.25, seed) for seed in (0, 1)]
    assert chosen[0] != chosen[1]
    assert chosen[0] == drawn_images(range(8), 0.25, 0)
    assert [m["chosen_by"] for m in result.details["memory"]] == ["own draw by the seed"] * 2


@settings(deadline=None, max_examples=20)
@given(share=st.sampled_from([0.25, 0.5, 0.75]), seed=st.integers(0, 20))
def test_a_share_without_an_image_of_a_class_stops_and_names_it(shared_images, share, seed):
    """Image i shows classes i and i + 1 of 4."""
    labels = class_histogram(shared_images)
    protocol = replace(SETTINGS, seeds=(seed,), train_share=share)
    rows = drawn_images(labels.usable, share, seed)
    shown = {c for row in rows for c in (row % 4, (row + 1) % 4)}
    missing = [name for c, name in enumerate(NAMES) if c not in shown]
    if not missing:
        assert protocol.training_images(shared_images, labels, seed) == rows
        return
    with pytest.raises(
        ValueError, match=rf"show no {', '.join(missing)}; .*classes_left_out=allow"
    ):
        protocol.training_images(shared_images, labels, seed)
    allowed = replace(protocol, classes_left_out="allow")
    assert allowed.training_images(shared_images, labels, seed) == rows


@pytest.fixture(scope="module")
def shared_images(tmp_path_factory: pytest.TempPathFactory) -> SegmentationDataset:
    return write_folder(tmp_path_factory.mktemp("shared"), 8)


def test_lists_name_the_training_images_of_each_seed(tmp_path: Path):
    images = write_folder(tmp_path / "data", 8)
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("im00\nim02\n\n")
    second.write_text("images/im05.png masks/im05.png\nim03.png\nim01\n")
    protocol = replace(SETTINGS, seeds=(42, 400), train_lists=(first, second))
    labels = class_histogram(images)
    assert [protocol.training_images(images, labels, s) for s in (42, 400)] == [[0, 2], [1, 3, 5]]
    memories = measure(protocol, images, images).details["memory"]
    assert [m["training_images"] for m in memories] == [2, 3]
    assert [m["chosen_by"] for m in memories] == [f"list {first}", f"list {second}"]


@pytest.mark.parametrize(
    ("text", "change", "message"),
    [
        ("im00\nim77\n", {}, r"one\.txt.*'im77'"),
        ("\n", {}, r"one\.txt"),
        ("im00\n", {}, r"one\.txt"),
        ("im00\nim02\n", {"train_share": 0.5}, "train_share"),
        ("im00\nim02\n", {"seeds": (0, 1)}, "train_lists"),
    ],
)
def test_lists_that_do_not_fit_are_named(tmp_path: Path, text, change, message):
    images = write_folder(tmp_path / "data", 8)
    (tmp_path / "one.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        measure(replace(SETTINGS, train_lists=(tmp_path / "one.txt",), **change), images, images)
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        measure(replace(SETTINGS, train_lists=(tmp_path / "none.txt",)), images, images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory_size": 129}, r"protocol\.memory_size 129 .* 128 patches"),
        ({"memory_size": 2}, r"the 2 entries.*protocol\.neighbours or raise protocol\.memory_size"),
        ({"neighbours": 129}, r"the 128 entries.*protocol\.neighbours or use more .*images"),
        ({"neighbours": 129, "memory_size": 128}, r"the 128 entries.*use more .*images"),
        ({"train_share": 0.1}, r"protocol\.train_share"),
        ({"train_share": 0.125}, r"protocol\.train_share.*protocol\.classes_left_out"),
    ],
)
def test_what_the_training_images_cannot_give_is_said_first(tmp_path, change, message):
    images = write_folder(tmp_path / "data", 8)
    fn = MeanColour()
    with pytest.raises(ValueError, match=message):
        measure(replace(SETTINGS, **change), images, images, encoder=encoder_of(fn))
    assert not fn.batches, "before any image was encoded"


@pytest.mark.parametrize("temperature", [1e-300, 1e-39, 9e-7])
def test_a_temperature_below_what_float32_tells_apart_is_refused(temperature: float):
    with pytest.raises(ValueError, match=r"^temperature"):
        replace(SETTINGS, temperature=temperature)
    with pytest.raises(ValueError, match=r"^temperature"):
        KnnSettings(temperature=temperature)


@pytest.mark.parametrize(
    ("crops", "said"), [(0, "64 patches of 4 images"), (2, "128 patches of 4 images, 2 crops")]
)
def test_the_log_counts_images_and_their_crops(tmp_path: Path, caplog, crops: int, said: str):
    images = write_folder(tmp_path / "data", 4)
    with caplog.at_level(logging.INFO, "leopart_kit.evaluation.protocols.in_context"):
        measure(replace(SETTINGS, num_augmentations=crops), images, images)
    assert said in caplog.text


def test_no_training_images(tmp_path: Path):
    images = write_folder(tmp_path / "data", 2)
    with pytest.raises(ValueError, match=r"protocol\.train_split"):
        measure(SETTINGS, images, None)
    bare = write_folder(tmp_path / "bare", 2, masks=False)
    with pytest.raises(ValueError, match="no masks"):
        measure(SETTINGS, images, bare)


def test_crops_follow_from_epoch_and_image_alone(tmp_path: Path):
    images = write_folder(tmp_path / "data", 4)
    first, other = (AugmentedImages(images, epoch, (16, 16)) for epoch in (0, 1))
    again = AugmentedImages(images, 0, (16, 16))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert first.fingerprint() != images.fingerprint()
    for index in range(4):
        assert torch.equal(first.load_image(index), again.load_image(index))
        mask, image = first.load_mask(index), first.load_image(index)
        assert mask is not None
        # Every class keeps its colour: the crop of the mask is that of the image.
        colours = {tuple(image[:, y, x].tolist()) for y, x in (mask == mask[0, 0]).nonzero()[:1]}
        assert len(colours) == 1
    assert any(not torch.equal(first.load_image(i), other.load_image(i)) for i in range(4))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 9))
def test_blocks_of_a_memory_are_its_tokens_at_length_one(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[bool], block: int, piece: int
):
    """Whatever is drawn of two stores, with gaps or without."""
    tokens = np.random.default_rng(len(chosen)).normal(size=(2, 5, 6, 3)).astype(np.float16)
    stores = []
    for number, own in enumerate(tokens):
        folder = tmp_path_factory.mktemp(f"store{number}")
        np.save(folder / "tokens.npy", own)
        np.save(folder / "status.npy", np.ones(5, np.uint8))
        stores.append(FeatureStore(folder, (2, 3)))
    rows = np.flatnonzero(chosen)
    memory = Memory(stores, rows, np.zeros((len(rows), 2), np.uint16), np.zeros(2, np.int64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_context_memory, "BLOCK_ROWS", block)
        patch.setattr(in_context_memory, "_PIECE", piece)
        found = [part.clone() for part in memory.blocks()]
        stored = list(memory.blocks_on("cpu"))
    expected = torch.from_numpy(tokens.reshape(-1, 3)[rows])
    assert torch.equal(torch.cat([*found, torch.empty(0, 3)]), F.normalize(expected.float(), dim=1))
    assert torch.equal(torch.cat([*stored, expected[:0]]), expected)
