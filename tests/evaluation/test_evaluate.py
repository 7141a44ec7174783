from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leopart_kit.data import BrokenSampleError, UnknownClassError, load_dataset
from leopart_kit.evaluation import (
    Result,
    RunSettings,
    collect_samples,
    evaluate,
    iter_clusters,
    iter_masks,
)
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from tests.evaluation.tiny_data import COLOURS, SIDE, MeanColour, encoder_of, write_folder

PROTOCOL = Overclustering(
    seeds=(0, 1), resolution=(SIDE, SIDE), score_resolution=(16, 16), pca_dim=None
)


def run(dataset, cache_dir: Path, *, strict: bool = False, **protocol) -> Result:
    settings = dataclasses.replace(PROTOCOL, **protocol)
    return evaluate(
        encoder_of(MeanColour()), dataset, settings, RunSettings(cache_dir=cache_dir, strict=strict)
    )


@pytest.mark.parametrize("engine", ["leopart_kit", "faiss"])
def test_tokens_that_tell_the_class_score_100(tmp_path: Path, engine):
    dataset = write_folder(tmp_path / "data", 6)
    result = run(dataset, tmp_path, engine=engine)
    assert [table.resolution for table in result.scores] == ["16x16", "full"]
    for table in result.scores:
        assert table.miou.per_seed == (100.0, 100.0)
        assert table.miou.ci95 == (100.0, 100.0)
        assert table.pixel_accuracy.mean == 100
    assert result.matching is not None
    assert result.matching.rule == "hungarian_iou"
    for classes in result.matching.cluster_to_class.values():
        assert sorted(classes) == [0, 1, 2, 3]
    assert result.confusion is not None
    # Of the 12 halves of 128 pixels the classes have 3, 4, 3 and 2.
    assert result.confusion[:, :4].tolist() == np.diag([384, 512, 384, 256]).tolist()
    assert result.confusion[:, 4].tolist() == [0] * 4


def test_without_run_settings_features_are_kept_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    dataset = write_folder(tmp_path / "data", 6)
    result = evaluate(encoder_of(MeanColour()), dataset, PROTOCOL)
    assert result.metrics == run(dataset, tmp_path / "kept").metrics
    assert list((tmp_path / "tmp").iterdir()) == []


def test_class_ids_do_not_matter(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 6)
    for path in (tmp_path / "data" / "masks").iterdir():
        ids = np.asarray(Image.open(path))
        Image.fromarray(np.array([2, 0, 3, 1], np.uint8)[ids]).save(path)
    result = run(dataset, tmp_path)
    assert result.metrics["miou"].mean == 100


def test_one_cluster_for_three_classes_by_hand(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 6, num_classes=3)
    result = run(dataset, tmp_path, num_clusters=1, seeds=(0,))
    # One cluster holds everything; each class has a third: IoU 100/3 for one, 0 for the others.
    assert result.metrics["miou"].mean == pytest.approx(100 / 9)
    assert result.metrics["pixel_accuracy"].mean == pytest.approx(100 / 3)


def test_more_clusters_than_classes_share_classes(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 6)
    for path in (tmp_path / "data" / "masks").iterdir():  # two colours a class
        ids = np.asarray(Image.open(path))
        Image.fromarray(ids // 2).save(path)
    (tmp_path / "data" / "classes.txt").write_text("ground\nanimal\n")
    dataset = load_dataset("folder", tmp_path / "data", "all")
    result = run(dataset, tmp_path, num_clusters=4)
    assert result.matching is not None
    assert result.matching.rule == "many_to_one_precision"
    assert sorted(result.matching.cluster_to_class[0]) == [0, 0, 1, 1]
    assert result.metrics["miou"].mean == 100


@pytest.mark.parametrize(("first_class", "unmatched"), [("background", 0), ("cow", -1)])
def test_left_over_clusters_go_to_the_background_if_there_is_one(
    tmp_path: Path, first_class: str, unmatched: int
):
    write_folder(tmp_path / "data", 4)
    for path in (tmp_path / "data" / "masks").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) // 2).save(path)
    (tmp_path / "data" / "classes.txt").write_text(f"{first_class}\nanimal\n")
    dataset = load_dataset("folder", tmp_path / "data", "all")
    result = run(dataset, tmp_path, num_clusters=4, matching="hungarian_count", seeds=(0,))
    assert result.matching is not None
    classes = sorted(result.matching.cluster_to_class[0])
    assert classes == sorted([0, 1, unmatched, unmatched])
    assert result.confusion is not None
    wrong = result.confusion[:, 2].sum()
    assert (wrong > 0) == (unmatched == -1)


def test_counts_of_images_add_up_to_the_confusion(tmp_path: Path):
    data = load_dataset("scenes", tmp_path / "scenes", "val", num_images=5, image_size=(64, 64))
    result = run(data, tmp_path, resolution=(64, 64), num_clusters=12)
    assert result.confusion is not None
    outcomes = result.per_image["16x16"][0]
    assert outcomes.shape == (5, 9, 3)
    tp, fp, fn = outcomes.sum(axis=0).T
    diagonal = result.confusion[:, :9].diagonal()
    np.testing.assert_array_equal(tp, diagonal)
    np.testing.assert_array_equal(fp, result.confusion[:, :9].sum(axis=0) - diagonal)
    np.testing.assert_array_equal(fn, result.confusion.sum(axis=1) - diagonal)
    labelled = 5 * 16 * 16
    assert (tp + fn).sum() == labelled
    full = result.per_image["full"][1]
    assert (full[..., 0] + full[..., 2]).sum() == 5 * 64 * 64


def test_the_same_seed_gives_the_same_figures_and_another_does_not(tmp_path: Path):
    data = load_dataset("scenes", tmp_path / "scenes", "val", num_images=5, image_size=(64, 64))
    settings = {"resolution": (64, 64), "num_clusters": 12}
    first, again = (run(data, tmp_path / name, **settings) for name in ("a", "b"))
    assert first.scores == again.scores
    assert first.matching == again.matching
    np.testing.assert_array_equal(first.cluster_maps, again.cluster_maps)
    other = run(data, tmp_path / "a", seeds=(5,), **settings)
    assert other.scores[0].miou.mean not in first.scores[0].miou.per_seed


def test_images_without_masks_are_clustered_and_not_scored(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 3, masks=False)
    result = run(dataset, tmp_path, num_clusters=4)
    assert result.scores == ()
    assert result.metrics == {}
    assert result.matching is None
    assert not result.labels_used.match
    assert result.dataset.num_images == 3
    for name, clusters in iter_masks(result, dataset):
        assert len(np.unique(clusters)) == 2, name


def test_too_many_clusters_stop_before_the_extraction(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 2)
    counting = MeanColour()
    protocol = dataclasses.replace(PROTOCOL, num_clusters=33)
    with pytest.raises(ValueError, match="the 32 patches"):
        evaluate(encoder_of(counting), dataset, protocol, RunSettings(cache_dir=tmp_path))
    assert counting.batches == []


def test_broken_samples_are_named_and_counted(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 6)
    image = dataset.image_path(1)
    image.write_bytes(image.read_bytes()[:70])  # the header is whole, the pixels are not
    masks = tmp_path / "data" / "masks"
    Image.fromarray(np.zeros((SIDE, SIDE + 1), np.uint8)).save(masks / "im04.png")
    result = run(dataset, tmp_path)
    assert result.dataset.num_images == 4
    assert [item["name"] for item in result.dataset.broken] == ["im01", "im04"]
    assert "im01.png" in result.dataset.broken[0]["reason"]
    assert "33 x 32" in result.dataset.broken[1]["reason"]
    assert result.image_names == ("im00", "im02", "im03", "im05")
    assert result.metrics["miou"].mean == 100
    with pytest.raises(BrokenSampleError, match=r"im0[14]"):
        run(dataset, tmp_path, strict=True)


def test_classes_of_images_that_were_left_out_are_not_present(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 4)
    for index in (1, 2):  # all images with the class 2
        path = dataset.image_path(index)
        path.write_bytes(path.read_bytes()[:70])
    result = run(dataset, tmp_path)
    assert result.dataset.classes_present == (0, 1, 3)
    assert result.metrics["miou"].mean == pytest.approx(75)
    assert result.metrics["miou_present"].mean == 100


def test_an_unknown_class_is_never_left_out(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 4)
    bad = tmp_path / "data" / "masks" / "im02.png"
    Image.fromarray(np.full((SIDE, SIDE), 77, np.uint8)).save(bad)
    with pytest.raises(UnknownClassError, match=r"im02\.png.*77"):
        run(dataset, tmp_path)


def test_masks_and_pictures_show_the_prediction_at_the_images_own_size(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 5)
    path = dataset.image_path(0)
    ids = np.zeros((40, 24), np.uint8)  # an image of another size, red above green
    ids[20:] = 1
    Image.fromarray(COLOURS[ids]).save(path)
    Image.fromarray(ids).save(tmp_path / "data" / "masks" / "im00.png")
    result = run(dataset, tmp_path)
    masks = dict(iter_masks(result, dataset))
    np.testing.assert_array_equal(masks["im00"], ids)
    assert list(masks) == [f"im{index:02d}" for index in range(5)]
    samples = collect_samples(result, dataset, 3)
    assert [sample.name for sample in samples] == ["im00", "im02", "im04"]
    first = samples[0]
    assert first.target is not None
    np.testing.assert_array_equal(first.prediction, ids)
    np.testing.assert_array_equal(first.target, ids)
    np.testing.assert_array_equal(first.image, COLOURS[ids])
    assert len(collect_samples(result, dataset, 99)) == 5
    assert collect_samples(result, dataset, 0) == []


def test_clusters_without_a_class_are_ignored_in_masks(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 4)
    result = run(dataset, tmp_path, seeds=(0,))
    assert result.matching is not None
    classes = list(result.matching.cluster_to_class[0])
    classes[classes.index(3)] = -1
    changed = dataclasses.replace(
        result, matching=dataclasses.replace(result.matching, cluster_to_class={0: tuple(classes)})
    )
    _, _, third, _ = (mask for _, mask in iter_masks(changed, dataset))
    assert np.unique(third).tolist() == [2, 255]
    bare = dataclasses.replace(result, cluster_maps=None)
    with pytest.raises(ValueError, match="cluster maps"):
        list(iter_clusters(bare, dataset))
