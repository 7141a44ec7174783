"""Open weight files without running anything that is in them."""

from __future__ import annotations

import argparse
import hashlib
import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

# plain data in the training checkpoints of DINO and iBOT
_HARMLESS = [
    argparse.Namespace,
    np.dtype,
    np.ndarray,
    np.float64(0).__reduce__()[0],
    np.zeros(1).__reduce__()[0],
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "u1", "?")),
]
_DAMAGE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    zipfile.BadZipFile,
)
_GLOBAL = re.compile(r"(?:GLOBAL|function|class|global)\s+`?([\w.]+)`?")


def load_file(path: Path) -> dict[str, Any]:
    """Content of a PyTorch or safetensors file (told apart by content), tensors on the CPU.

    Raises ``FileNotFoundError``, or ``ValueError`` for a file that is truncated, not a
    dictionary, or needs code to be unpickled.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such weight file")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, give the weight file inside it")
    with path.open("rb") as file:
        head = file.read(9)
    if not head:
        raise ValueError(f"{path}: the file is empty")
    is_safetensors = len(head) == 9 and head[8:] == b"{" and head[:2] != b"PK"
    content = _load_safetensors(path) if is_safetensors else _load_pickle(path)
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: holds a {type(content).__name__}, not a dictionary of tensors; save "
            "model.state_dict() instead"
        )
    return content


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, struct.error) as error:
        raise ValueError(
            f"{path}: not a complete safetensors file ({error}); download it again"
        ) from error


def _load_pickle(path: Path) -> object:
    if _is_torchscript(path):
        raise ValueError(
            f"{path}: is a TorchScript archive, which carries code; save its weights first with "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)"
        )
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = str(error)
        if "GLOBAL" in message or "Unsupported" in message or "not an allowed" in message:
            raise ValueError(
                f"{path}: refused, because unpickling it would run code ({_culprit(message)}); "
                "if you trust it, save only its tensors: torch.save(model.state_dict(), NEW_FILE)"
            ) from error
        raise ValueError(f"{path}: not a PyTorch checkpoint, or a damaged one") from error
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path}: truncated or not a PyTorch checkpoint ({reason}); download it again"
        ) from error


def _culprit(message: str) -> str:
    found = _GLOBAL.search(message)
    return f"it needs {found[1]}" if found else "it needs objects other than tensors"


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
