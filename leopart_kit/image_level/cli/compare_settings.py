"""Methods and seeds that `leopart compare` trains, and the settings of each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from omegaconf import DictConfig

from leopart_kit.cli.build import plain
from leopart_kit.cli.commands import Accelerator, FolderName, Words
from leopart_kit.cli.declared import PACKAGES
from leopart_kit.parts import config_folder, list_parts
from leopart_kit.settings import Count, Group, PathText, Positive, Seeds, Text, settings

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


@settings
class CompareCommand:
    """Train many methods for minutes each and measure what each learned."""

    dataset: Annotated[Any, Group(PACKAGES["dataset"])]
    train_split: Text = "train"
    """Split that is trained on without its classes; then the probes learn its classes."""
    test_split: Text = "test"
    """Split that is scored; its classes are seen by nothing else."""
    output_dir: Text = "outputs/compare_methods"
    """Always the same, so that the next call goes on where this one stopped."""
    methods: dict[FolderName, Words | None] | None = None
    """Settings of leopart train by a name of your choice, as {mine: "recipe=cifar10_simclr
    method.temperature=0.5"}; NAME: null for recipe=cifar10_NAME; none: every such recipe."""
    seeds: Seeds = (0,)
    """Of the weights at the start and of the training."""
    seeds_of: dict[FolderName, Seeds] | None = None
    """Other ones for some of the methods, as {simclr: [0,1,2]}."""
    minutes: Positive = 4.0
    """Of training, at most; a recipe that takes longer is shortened."""
    training: Words = ""  # type: ignore[assignment]
    """Settings of leopart train for every training; not data and seeds."""
    evaluation: Words = ""  # type: ignore[assignment]
    """Settings of protocol of leopart image, as "protocol.linear.epochs=20"."""
    write_to: PathText | None = None
    """Markdown file; what stands between its marks "methods" is written anew."""
    json: PathText | None = None
    """Another place for methods.json."""
    accelerator: Accelerator = "auto"
    """Kind of device."""
    batch_size: Count = 64
    """Images that the encoder sees at once in the measurements."""


def chosen_methods(command: CompareCommand) -> Mapping[str, Sequence[str]]:
    """Settings of `leopart train` for every method, by its name.

    Raises:
        ValueError: a name without settings of which there is no recipe, or seeds of a method that
            is not there.
    """
    recipes = config_folder("configs") / "recipe"
    methods = list_parts(PACKAGES["method"])
    known = [name for name in methods if (recipes / f"cifar10_{name}.yaml").is_file()]
    wanted = command.methods or dict.fromkeys(known)
    for name, overrides in wanted.items():
        if overrides is None and name not in known:
            raise ValueError(
                f"there is no recipe cifar10_{name}; say how {name} is trained, as in "
                f"'methods={{{name}: \"recipe=… method=…\"}}', or choose of {', '.join(known)}"
            )
    for name in command.seeds_of or ():
        if name not in wanted:
            raise ValueError(f"seeds_of.{name}: no such method; there is {', '.join(wanted)}")
    return {
        name: [f"recipe=cifar10_{name}"] if overrides is None else list(overrides)
        for name, overrides in wanted.items()
    }


def check_words(command: CompareCommand, methods: Mapping[str, Sequence[str]]) -> None:
    """Check that all that is set for trainings and measurements has an effect.

    Raises:
        ValueError: a setting that every run gets from the command itself, or that a measurement
            does not take; says where to set it.
    """
    for name, words in methods.items():
        _refuse(words, f"methods.{name}", _SET_FOR_ALL)
    own_images = methods and all(brings_images(words) for words in methods.values())
    refused = _SET_FOR_ALL if own_images else {**_SET_FOR_ALL, **_SHARED_IMAGES}
    _refuse(command.training, "training", refused)
    words = command.evaluation
    _refuse(words, "evaluation", _MEASURED_SO)
    for word in words:
        if not _sets(word, "protocol"):
            raise ValueError(
                f"evaluation: {word} would have no effect; it takes settings of protocol alone, as "
                "protocol.linear.epochs=20"
            )


def _refuse(words: Sequence[str], of: str, instead: Mapping[str, str]) -> None:
    for word in words:
        for name, own in instead.items():
            if _sets(word, name):
                raise ValueError(
                    f"{of}: {word} would have no effect; set {own} of leopart compare itself"
                )


def _sets(word: str, name: str) -> bool:
    """True if a word of a command line sets this name, or a part of it."""
    key = word.lstrip("+~").partition("=")[0]
    return key == name or key.startswith(f"{name}.")


def brings_images(overrides: Sequence[str]) -> bool:
    """True if the settings of a method say what it is trained on."""
    return any(_sets(word, "dataset") for word in overrides)


def shared_images(config: DictConfig) -> dict[str, Any]:
    """The node `dataset` of a training on the images that all methods share."""
    return {**plain(config.dataset), "split": config.train_split}


def other_images(shared: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """Training images of a method in words, if they are not those of the comparison."""
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
