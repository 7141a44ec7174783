"""Scenes on disk: which folder may be written, and writing what is missing in it.

`scenes.json` in the folder records the settings. Every file appears whole or not at all, and a
scene counts as written when all of its files are there, so that a broken-off run goes on where it
stopped and two runs at once do no harm.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from leopart_kit.data.scenes.generator import SceneGenerator
from leopart_kit.data.scenes.render import Scene
from leopart_kit.input_files import read_json
from leopart_kit.progress import Track
from leopart_kit.whole_file import whole_file

RECORD = "scenes.json"
_NUMBERS = ("seed", "max_objects", "ignore_border")
FIRST_SCENE = {"train": 0, "val": 10_000_000}
"""Number of the first scene of each split: no scene is in both, however large they are."""

Settings = dict[str, Any]


def read_record(root: Path) -> Settings | None:
    """The settings of the scenes in a folder, or None where there are none.

    Raises:
        ValueError: the record is damaged.
    """
    file = root / RECORD
    if not file.exists():
        return None
    try:
        record = read_json(file)
        settings, splits = dict(record["settings"]), dict(record["splits"])
        numbers = [*splits.values(), *(settings[name] for name in _NUMBERS if name in settings)]
        size = settings.get("image_size", [1, 1])
        if len(size) != 2 or not all(type(number) is int for number in (*numbers, *size)):
            raise ValueError("its numbers must be whole")
        return {"layout": record["layout"], **settings, "splits": splits}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is damaged ({error!r}); delete the folder to draw its scenes anew"
        ) from error


def claim(
    root: Path, layout: str, generator: SceneGenerator, splits: Mapping[str, int], **options: object
) -> None:
    """Make sure that a folder holds nothing but scenes of these settings, and record them.

    A split that the folder does not have yet is added to the record.

    Raises:
        ValueError: an unknown split, less than 1 image; the folder holds something else, or
            scenes of other settings.
    """
    for split, count in splits.items():
        if split not in FIRST_SCENE:
            choices = " or ".join(FIRST_SCENE)
            raise ValueError(f"scenes have no split {split!r}; choose {choices}")
        if not 1 <= count <= FIRST_SCENE["val"]:
            raise ValueError(f"split {split!r} of {count} scenes: give 1 to {FIRST_SCENE['val']}")
    wanted = {"layout": layout, **generator.settings(), **options}
    found = read_record(root)
    if found is None:
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise ValueError(f"{root} is not empty and holds no scenes; choose a new folder")
        found = {**wanted, "splits": {}}
    for key in (*wanted, *(key for key in found if key != "splits")):
        _agree(root, key, found.get(key), wanted.get(key))
    for split, count in splits.items():
        _agree(root, f"number of {split} scenes", found["splits"].get(split, count), count)
    settings = {key: value for key, value in wanted.items() if key != "layout"}
    record = {"layout": layout, "settings": settings, "splits": {**found["splits"], **splits}}
    write_text(root / RECORD, json.dumps(record, indent=2))


def _agree(root: Path, what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise ValueError(
            f"{root} holds scenes with {what} {found}, not {wanted}; "
            "choose another folder or delete this one"
        )


def write_missing(
    root: Path,
    generator: SceneGenerator,
    names: Mapping[str, int],
    paths_of: Callable[[str], tuple[str, ...]],
    encode: Callable[[Scene], tuple[bytes, ...]],
    description: str,
    track: Track,
) -> None:
    """Draw and write the scenes that lack a file.

    `names` maps each sample's name to its scene number, `paths_of` a name to its files relative to
    `root`, and `encode` a scene to the contents of these files, in the same order.
    """
    for name, number in track(names.items(), description, len(names)):
        files = [root / path for path in paths_of(name)]
        if all(file.exists() for file in files):
            continue
        for file, content in zip(files, encode(generator.scene(number)), strict=True):
            write_file(file, content)


def write_text(file: Path, content: str) -> None:
    """Write a text file unless it already says this: scenes can be read where nobody may write."""
    if not file.exists() or file.read_text(encoding="utf-8") != content:
        write_file(file, content.encode())


def write_file(file: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all; makes its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as temporary:
        temporary.write_bytes(content)


def jpeg(image: np.ndarray) -> bytes:
    """JPEG of RGB uint8 `[H, W, 3]`, high quality, colours at full resolution."""
    return _encode(Image.fromarray(image), "JPEG", quality=95, subsampling=0)


def png(pixels: np.ndarray, palette: np.ndarray | None = None) -> bytes:
    """PNG of RGB uint8 `[H, W, 3]` or of ids uint8 `[H, W]`, indexed if there is a palette."""
    picture = Image.fromarray(pixels)
    if palette is not None:
        picture.putpalette(palette.tobytes())
    return _encode(picture, "PNG", compress_level=3)


def _encode(picture: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
