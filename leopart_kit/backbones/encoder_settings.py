"""Settings of an encoder: which network, which weights, which of its features."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal

from pydantic import Field

from leopart_kit.backbones.encoder import Encoder
from leopart_kit.backbones.load import load_encoder
from leopart_kit.backbones.precision import Precision
from leopart_kit.settings import Count, PathText, Seed, Size, Text, settings


@settings
class EncoderSettings:
    """One encoder, as `load_encoder` takes it.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    name: Text
    """Of the zoo, or of a timm model."""
    weights: PathText = "auto"
    """File of a checkpoint; auto: the release's own, random: none. Of name=custom, what a training
    has saved."""
    block: int = -1
    """Block whose tokens are taken; -1: the last."""
    facet: Literal["token", "key", "query", "value"] = "token"
    """Tokens after the block, or keys, queries or values of its attention."""
    network: Text = "auto"
    """Network of a file with several; auto: the one that its project evaluates."""
    grid: Size | None = None
    """[rows, columns] in patches of the file's positions, where they are not square."""
    patch_size: Count | None = None
    """Of handcrafted, 8 by default; stride of a dilated ResNet, 16 or 8."""
    factory: Text | None = None
    """Your own function, package.module:function, for name=custom; a parameter precision of it
    receives that of the run."""
    factory_options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of that function."""
    seed: Seed = 0
    """Of random weights."""

    def load(self, precision: Precision = "fp32", drop_path_rate: float = 0.0) -> Encoder:
        """The encoder; arguments and errors as those of `load_encoder`."""
        options = {field.name: getattr(self, field.name) for field in fields(EncoderSettings)}
        options["factory_options"] = self.factory_options or None
        return load_encoder(**options, precision=precision, drop_path_rate=drop_path_rate)
