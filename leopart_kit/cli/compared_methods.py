"""Which methods `leopart-compare` trains with which seeds, and what may be said of each."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from leopart_kit.cli.build import plain
from leopart_kit.cli.build_image_method import IMAGE_METHODS
from leopart_kit.cli.config import config_folder

# What every run gets from the command, and the settings that say so.
_SET_FOR_ALL = {
    "seed": "seeds= or seeds_of=",
    "encoder.seed": "seeds= or seeds_of=",
    "accelerator": "accelerator=",
}
_SHARED_IMAGES = {"dataset": "dataset= and dataset.root="}
_MEASURED_SO = {
    **_SHARED_IMAGES,
    "train_split": "train_split=",
    "test_split": "test_split=",
    "batch_size": "batch_size=",
    "device": "accelerator=",
}


def chosen_methods(config: DictConfig) -> Mapping[str, Sequence[str]]:
    """What to set in `leopart-train` for every method, by its name.

    Raises:
        ValueError: a name without settings of which there is no recipe, or seeds of a method that
            is not there.
    """
    recipes = config_folder("configs") / "recipe"
    known = [name for name in IMAGE_METHODS if (recipes / f"cifar10_{name}.yaml").is_file()]
    wanted = plain(config)["methods"] or dict.fromkeys(known)
    for name, overrides in wanted.items():
        if overrides is None and name not in known:
            raise ValueError(
                f"there is no recipe cifar10_{name}; say how {name} is trained, as in "
                f"'methods={{{name}: \"recipe=… method=…\"}}', or choose of {', '.join(known)}"
            )
    for name in config.seeds_of or ():
        if name not in wanted:
            raise ValueError(f"seeds_of.{name}: no such method; there is {', '.join(wanted)}")
    return {
        name: [f"recipe=cifar10_{name}"] if overrides is None else shlex.split(overrides)
        for name, overrides in wanted.items()
    }


def seeds_of(config: DictConfig, method: str) -> list[int]:
    """The seeds of one method.

    Raises:
        ValueError: no list of different whole numbers of at least 0.
    """
    values = plain(config)
    seeds = (values["seeds_of"] or {}).get(method, values["seeds"])
    whole = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds of {method} must be different whole numbers, got {seeds!r}")
    return seeds


def check_words(config: DictConfig, methods: Mapping[str, Sequence[str]]) -> None:
    """Whether all that is set for trainings and measurements has an effect.

    Raises:
        ValueError: a setting that every run gets from the command itself, or that a measurement
            does not take; says where to set it.
    """
    for name, words in methods.items():
        _refuse(words, f"methods.{name}", _SET_FOR_ALL)
    own_images = methods and all(brings_images(words) for words in methods.values())
    refused = _SET_FOR_ALL if own_images else {**_SET_FOR_ALL, **_SHARED_IMAGES}
    _refuse(shlex.split(config.training), "training", refused)
    words = shlex.split(config.evaluation)
    _refuse(words, "evaluation", _MEASURED_SO)
    for word in words:
        if not _sets(word, "protocol"):
            raise ValueError(
                f"evaluation: {word} would have no effect; it takes settings of protocol alone, as "
                "protocol.linear.epochs=20"
            )


def _refuse(words: Sequence[str], of: str, instead: Mapping[str, str]) -> None:
    for word in words:
        for name, settings in instead.items():
            if _sets(word, name):
                raise ValueError(
                    f"{of}: {word} would have no effect; set {settings} of leopart-compare itself"
                )


def _sets(word: str, name: str) -> bool:
    """Whether a word of a command line sets what has this name, or a part of it."""
    key = word.lstrip("+~").partition("=")[0]
    return key == name or key.startswith(f"{name}.")


def brings_images(overrides: Sequence[str]) -> bool:
    """Whether the settings of a method say what it is trained on."""
    return any(_sets(word, "dataset") for word in overrides)


def shared_images(config: DictConfig) -> dict[str, Any]:
    """The node `dataset` of a training on the images that all methods share."""
    return {**plain(config.dataset), "split": config.train_split}


def other_images(shared: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """What a method was trained on in words, if on other images than those of the comparison."""
    shared, own = _which_images(shared), _which_images(own)
    if own == shared:
        return None
    words = [own["name"], Path(own["root"]).name]
    if (own["name"], own["root"]) == (shared["name"], shared["root"]):
        names = sorted(own.keys() | shared.keys())
        words += [f"{n}={own.get(n)}" for n in names if own.get(n) != shared.get(n)]
    return ", ".join(words)


def _which_images(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A node `dataset` without what says nothing of the images."""
    said = {k: v for k, v in dataset.items() if v is not None and k != "label_set"}
    return {**said, "root": os.path.abspath(os.path.expanduser(said["root"]))}
