"""A training of seconds for every method, by the words of `leopart train`."""

from __future__ import annotations

from pathlib import Path

from leopart_kit.cli.declared import PACKAGES
from leopart_kit.parts import list_parts
from tests.cli.train_command import arguments, write_images
from tests.image_level.cli import test_train_image_methods as image_level

_HEAD = ("method.num_prototypes=6", "method.projection_dim=8")
_DENSE = {
    "anchored_leopart": (*_HEAD, "method.anchor_resolution=[64,64]", "method.trained_blocks=2"),
    "leopart": (*_HEAD, "method.queue_length=12"),
    "neco": ("method.projection_dim=8", "method.queue_length=60"),
    "paka": ("method.projection_dim=8", "method.gram_weight=1"),
    "stego": ("method.crop_size=64", "method.num_clusters=6"),
}
METHODS = list_parts(PACKAGES["method"])
LABELLING = ("deep_cluster", "sela")
"""In some steps they go through all images first."""


def words_of(method: str, *overrides: str) -> list[str]:
    """A run on six images in the folder where one stands, which must be an empty one."""
    if method in image_level.SMALL:
        given = image_level.arguments(Path("out"), method)
    else:
        given = arguments(write_images(Path("images")), Path("out"), f"method={method}")
        given = [word for word in given if not word.startswith("method.")] + [*_DENSE[method]]
    named = {override.partition("=")[0] for override in overrides}
    return [word for word in given if word.partition("=")[0] not in named] + [*overrides]
