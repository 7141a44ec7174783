"""Open weight files without running anything that is in them."""

from __future__ import annotations

import os
import pickle
import re
import stat
import warnings
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from leopart_kit.backbones.file_kinds import weight_format
from leopart_kit.backbones.onnx_file import load_onnx
from leopart_kit.backbones.plain_data import stand_ins

_GLOBAL = re.compile(r"(?:GLOBAL|function|class|global)\s+`?([\w.]+)`?")


def load_file(path: Path) -> dict[str, Any]:
    """Content of a PyTorch, safetensors or ONNX file (told apart by content), tensors on the CPU.

    Raises `FileNotFoundError`, or `ValueError` for a file that is no regular one, truncated,
    of another kind, not a dictionary, or needs code to be unpickled.
    """
    _check_regular(path)
    load = {"safetensors": _load_safetensors, "onnx": load_onnx}.get(weight_format(path), _unpickle)
    content = load(path)
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: holds a {type(content).__name__}, not a dictionary of tensors; save "
            "model.state_dict() instead"
        )
    return content


def _check_regular(path: Path) -> None:
    """Opening a pipe would wait for ever, and a device has no end."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{path}: no such weight file") from error
    except (OSError, ValueError) as error:  # too long a name, a loop of links, a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{str(path)!r}: cannot be a weight file ({reason})") from error
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path}: is a folder, give the weight file inside it")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path}: is a pipe, a socket or a device, give a regular file")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path}: may not be read; change its permissions")


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except Exception as error:  # whatever the reader stumbles on, it is the file's content
        raise ValueError(
            f"{path}: not a complete safetensors file ({_first_line(error)}); download it again"
        ) from error


def _unpickle(path: Path) -> object:
    try:
        with torch.serialization.safe_globals(stand_ins()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is said below, in one line
            with path.open("rb") as file:  # torch.load would go by the suffix of a path
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = str(error)
        if "Unsupported operand" in message:
            raise ValueError(
                f"{path}: damaged, or pickled with another protocol than PyTorch's own; save it "
                "again with torch.save"
            ) from error
        if "GLOBAL" in message or "Unsupported" in message or "not an allowed" in message:
            raise ValueError(
                f"{path}: refused, because unpickling it would run code ({_culprit(message)}); "
                "if you trust it, save only its tensors: torch.save(model.state_dict(), NEW_FILE)"
            ) from error
        raise ValueError(f"{path}: not a PyTorch checkpoint, or a damaged one") from error
    except Exception as error:  # a damaged pickle can ask for any operation on any object
        if "magic number" in str(error):
            raise ValueError(
                f"{path}: is a pickle that torch.save did not write; load it with what wrote it "
                "and save its tensors with torch.save"
            ) from error
        raise ValueError(
            f"{path}: truncated or not a PyTorch checkpoint ({_first_line(error)}); download it "
            "again"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _culprit(message: str) -> str:
    found = _GLOBAL.search(message)
    return f"it needs {found[1]}" if found else "it needs objects other than tensors"
