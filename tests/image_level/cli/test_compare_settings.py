"""What is said of the methods of `leopart compare`: words without effect, images of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leopart_kit.image_level.cli.compare_settings import CompareCommand, check_words, other_images

SHARED = {"name": "imagenet", "root": "/data/in", "split": "train", "classes_file": None}


@pytest.mark.parametrize(
    ("setting", "word", "instead"),
    [
        ("training", "dataset=folder", "dataset= and dataset.root="),
        ("training", "dataset.root=DIR", "dataset= and dataset.root="),
        ("training", "++seed=1", "seeds= or seeds_of="),
        ("training", "+encoder.seed=1", "seeds= or seeds_of="),
        ("training", "accelerator=cpu", "accelerator="),
        ("methods.mine", "encoder.seed=1", "seeds= or seeds_of="),
        ("evaluation", "test_split=val", "test_split="),
        ("evaluation", "dataset.root=DIR", "dataset= and dataset.root="),
        ("evaluation", "batch_size=8", "batch_size="),
        ("evaluation", "device=cuda", "accelerator="),
    ],
)
def test_a_word_without_effect_is_refused(setting: str, word: str, instead: str):
    given: dict[str, Any] = {} if setting == "methods.mine" else {setting: word}
    methods = {"mine": [word] if setting == "methods.mine" else []}
    with pytest.raises(ValueError, match="no effect") as refused:
        check_words(CompareCommand(dataset={}, **given), methods)
    message = f"{setting}: {word} would have no effect; set {instead} of leopart compare itself"
    assert str(refused.value) == message


@pytest.mark.parametrize("word", ["precision=bf16", "strict=true", "encoder=dino_vits16"])
def test_a_measurement_takes_settings_of_its_protocol_alone(word: str):
    config = CompareCommand(dataset={}, evaluation=f"protocol.seeds=[1] {word}")
    with pytest.raises(ValueError, match=f"evaluation: {word} .*settings of protocol alone"):
        check_words(config, {})


def test_what_has_an_effect_is_taken():
    training = "num_workers=0 precision=fp32 batch_size=8 dataset@evaluation.dataset=voc"
    words = ["recipe=cifar10_rotnet", "dataset=folder", "dataset.root=DIR", "encoder.name=test_vit"]
    evaluation = "protocol.linear.epochs=2 +protocol.seeds=[1]"
    check_words(
        CompareCommand(dataset={}, training=training, evaluation=evaluation), {"mine": words}
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"root": "/data/../data/in/"}, None),
        ({"label_set": "none", "option": None}, None),
        ({"root": "/other/photos"}, "imagenet, photos"),
        ({"name": "folder", "split": "all"}, "folder, in"),
        ({"split": "val"}, "imagenet, in, split=val"),
        ({"classes_file": "ten.txt"}, "imagenet, in, classes_file=ten.txt"),
    ],
)
def test_other_images_differ_in_name_folder_split_or_options(changed: dict, said: str | None):
    assert other_images(SHARED, {**SHARED, **changed}) == said


def test_a_home_folder_is_the_same_one_in_short():
    root = str(Path.home() / "in")
    assert other_images({**SHARED, "root": "~/in"}, {**SHARED, "root": root}) is None


def test_images_for_all_trainings_are_taken_where_every_method_brings_its_own():
    config = CompareCommand(dataset={}, training=("dataset.root=DIR",))
    check_words(config, {"mine": ["dataset=folder"], "yours": ["dataset=pass"]})
    with pytest.raises(ValueError, match=r"dataset\.root"):
        check_words(config, {"mine": ["dataset=folder"], "rotnet": []})
