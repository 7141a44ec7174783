"""An encoder as a folder of two files, here or on the Hugging Face hub.

`config.json` holds names and numbers, `model.safetensors` tensors in timm's naming. Nothing in
them is run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from leopart_kit.backbones.encoder import Encoder
from leopart_kit.backbones.load import has_option, load_encoder
from leopart_kit.backbones.saved_backbone import save_backbone
from leopart_kit.input_files import parse_json, read_text
from leopart_kit.whole_file import whole_file

CONFIG_NAME, WEIGHTS_NAME = "config.json", "model.safetensors"

_SETTINGS = ("block", "facet", "precision")  # of `Encoder.settings`, as `load_encoder` takes them
_KNOWN = {"name", "patch_size", "grid", *_SETTINGS}


def write_pretrained(encoder: Encoder, folder: Path) -> None:
    """Write the two files of an encoder of `load_encoder` into a folder that exists.

    Raises:
        ValueError: it is made by code of your own, which the files do not hold.
        OSError: a file cannot be written; carries its name.
    """
    options = _options(encoder)
    with TemporaryDirectory(dir=folder) as scratch:
        _write_and_read(encoder, options, Path(scratch))
        for file in sorted(Path(scratch).iterdir()):
            file.replace(folder / file.name)


def _write_and_read(encoder: Encoder, options: Mapping[str, Any], folder: Path) -> None:
    """The two files, once it is known that they give the encoder again."""
    if encoder.state_dict():
        save_backbone(encoder, folder / WEIGHTS_NAME)
    content = {"library": "leopart_kit", "encoder": options, "embed_dim": encoder.embed_dim}
    with whole_file(folder / CONFIG_NAME) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    try:
        again = read_pretrained(folder)
    except ValueError as error:
        raise _no_name(encoder, f"it does not load again: {error}") from error
    own = encoder.state_dict()
    same = type(again) is type(encoder) and all(
        torch.equal(value, own[key].cpu()) for key, value in again.state_dict().items()
    )
    if not same or (again.mean, again.std) != (encoder.mean, encoder.std):
        raise _no_name(encoder, f"{encoder.name} loads as another one")


def _options(encoder: Encoder) -> dict[str, Any]:
    """Arguments of `load_encoder` besides the weights."""
    options: dict[str, Any] = {"name": encoder.name}
    try:
        has_patch_size = has_option(encoder.name, "patch_size")
    except ValueError as error:
        raise _no_name(encoder, "it is made by code that the files do not hold") from error
    given = {name: encoder.settings[name] for name in _SETTINGS if name in encoder.settings}
    options |= {name: value for name, value in given.items() if value != "fp32"}
    if has_patch_size:
        options |= {"patch_size": encoder.patch_size}
    grid = getattr(getattr(getattr(encoder, "vit", None), "patch_embed", None), "grid_size", None)
    if grid and grid[0] != grid[1]:
        options |= {"grid": list(grid)}
    return options


def _no_name(encoder: Encoder, why: str) -> ValueError:
    return ValueError(
        f"{encoder.name} cannot be saved as an encoder by name: {why}; save its state_dict and "
        "make it again with Encoder.from_module"
    )


def read_pretrained(source: str | Path, **download: Any) -> Encoder:
    """The encoder that `write_pretrained` left in a folder or in a repository of the hub.

    Args:
        source: a folder, or `organisation/name`.
        download: revision, token, cache_dir, … of `hf_hub_download`.

    Raises:
        FileNotFoundError: there is no such folder or repository, or a file of it is missing.
        ValueError: files that are damaged or of another library.
    """
    config = _find(source, CONFIG_NAME, download)
    options, embed_dim = _read_config(config)
    weights = "auto" if options["name"] == "handcrafted" else _find(source, WEIGHTS_NAME, download)
    encoder = load_encoder(**options, weights=weights)
    if encoder.embed_dim != embed_dim:
        raise ValueError(f"{config}: {encoder.name} has {encoder.embed_dim} channels, not it")
    return encoder


def _read_config(path: Path) -> tuple[dict[str, Any], int]:
    content = parse_json(read_text(path), path)
    options = content.get("encoder") if isinstance(content, dict) else None
    if not isinstance(options, dict) or "name" not in options or content.get("embed_dim") is None:
        raise ValueError(f"{path} says of no encoder of leopart_kit; use load_encoder with weights")
    unknown = [name for name in options if name not in _KNOWN]
    if unknown or options["name"] == "custom":
        raise ValueError(f"{path}: encoder.{(unknown or ['name'])[0]} is nothing that is saved")
    return options, content["embed_dim"]


def _find(source: str | Path, name: str, download: Mapping[str, Any]) -> Path:
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder / name
    try:
        return Path(hf_hub_download(str(source), name, **download))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise FileNotFoundError(
            f"{source} is no folder, and {name} of it is not to be had from the hub ({reason})"
        ) from error
