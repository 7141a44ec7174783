"""Settings that commands share, and the step from a configuration to a checked command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from omegaconf import DictConfig, OmegaConf
from pydantic import AfterValidator, Field

from leopart_kit.evaluation.protocols.predictions.protocol import Predictions
from leopart_kit.settings import PathText, Text, declared, read_settings, settings

T = TypeVar("T")

Precision = Literal["fp32", "bf16"]
Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Node = dict[str, Any]


def _split(words: str | tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(words)) if isinstance(words, str) else words
    except ValueError as error:
        raise ValueError(f"must be words of a command line ({error}), got {words!r}") from None


def _folder_name(name: str) -> str:
    if name in ("", ".", "..") or any(sign in name for sign in "/\\\0"):
        raise ValueError(f"names become folders: {name!r} must be one without / and \\")
    return name


Words = Annotated[
    str | Annotated[tuple[str, ...], Field(strict=False)],
    AfterValidator(_split),
]
"""Settings of another command, as one text like on its command line, or a list."""
FolderName = Annotated[Text, AfterValidator(_folder_name)]
"""A name of the user's choice that becomes a folder."""


def read_words(words: Any) -> tuple[str, ...]:
    """The words of a node of that type, checked before."""
    return _split(words if isinstance(words, str) else tuple(words))


@settings
class PredictedFolder:
    """A folder of predictions."""

    root: PathText
    """Files named as the samples, sub-folders too: PNG, npz or npy of ids."""
    name: Text | None = None
    """Of the method; null: the folder's name."""


def read_predictions(values: Mapping[str, Any]) -> tuple[PredictedFolder, Predictions]:
    """The node `predictions`: the folder, and its content and scoring."""
    own = [setting.name for setting in declared(PredictedFolder)]
    folder = {name: value for name, value in values.items() if name in own}
    scoring = {name: value for name, value in values.items() if name not in own}
    return (
        read_settings(PredictedFolder, folder, "predictions"),
        read_settings(Predictions, scoring, "predictions"),
    )


def read_command(cls: type[T], config: DictConfig) -> T:
    """Every setting of a command, checked before any work.

    Raises:
        ValueError: a setting that does not exist, is not set, of another type or out of range.
    """
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    return read_settings(cls, values, "")  # type: ignore[arg-type]
