"""The format of a weight file, told by its content, never by its name."""

from __future__ import annotations

import codecs
import zipfile
from pathlib import Path
from typing import Literal

WeightFormat = Literal["safetensors", "zip", "pickle", "onnx"]

_CONVERT = "save its weights with torch.save(model.state_dict(), FILE) and give that"
_UNPACK = "unpack it and give the weight file in it"
_DOWNLOAD = "download the weight file itself"

# Where a signature stands, the signature, what the file is then, and what to do.
_SIGNATURES = (
    (0, b"version https://git-lfs", "a Git LFS pointer", "fetch the file with `git lfs pull`"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras or TensorFlow)", _CONVERT),
    (0, b"\x93NUMPY", "a NumPy array", _CONVERT),
    (0, b"GGUF", "a GGUF file", _CONVERT),
    (4, b"TFL3", "a TensorFlow Lite model", _CONVERT),
    (0, b"\x08\x01\x12", "a TensorFlow model", _CONVERT),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (0, b"(\xb5/\xfd", "a Zstandard archive", _UNPACK),
    (0, b"7z\xbc\xaf'\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\x89PNG", "an image", _DOWNLOAD),
    (0, b"\xff\xd8\xff", "an image", _DOWNLOAD),
    (0, b"%PDF", "a PDF", _DOWNLOAD),
)
# An ONNX model begins with its version, which the field of another text, number or graph follows.
_ONNX_VERSIONS, _ONNX_FIELDS = range(3, 100), b"\x12\x1a\x22\x28\x32\x3a\x42\x72"
_TENSORFLOW_INDEX = bytes.fromhex("57fb808b247547db")  # the last bytes of a checkpoint's table
_HTML = ("<!doctype html", "<html", "<head", "<body")
WEIGHT_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
_HEAD = 4096


def weight_format(path: Path) -> WeightFormat:
    """The format of the weights in a regular file.

    Raises `ValueError`, which says what the file is instead, for one that holds none.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
        size = file.seek(0, 2)
        file.seek(max(size - 8, 0))
        tail = file.read()
    if not head:
        raise ValueError(f"{path}: the file is empty; {_DOWNLOAD}")
    # Eight bytes of length, then a JSON object; the library reads no longer header.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return "safetensors"
    if head.startswith(b"PK\x03\x04"):
        _check_archive(path)
        return "zip"
    if head[0] == 0x80:  # the first instruction of every pickle since protocol 2
        return "pickle"
    if head[0] == 0x08 and len(head) > 2 and head[1] in _ONNX_VERSIONS and head[2] in _ONNX_FIELDS:
        return "onnx"
    what, advice = _describe(head, tail)
    raise ValueError(f"{path}: is {what}, not a file of weights; {advice}")


def _describe(head: bytes, tail: bytes) -> tuple[str, str]:
    for place, signature, what, advice in _SIGNATURES:
        if head[place:].startswith(signature):
            return what, advice
    if tail == _TENSORFLOW_INDEX:
        return "the index of a TensorFlow checkpoint", _CONVERT
    if 0x81 <= head[0] <= 0x8F and b"\xa0" <= head[1:2] <= b"\xbf":
        return "a msgpack file (JAX or Flax)", _CONVERT
    return _describe_text(head) or ("nothing that PyTorch or safetensors wrote", _DOWNLOAD)


def _describe_text(head: bytes) -> tuple[str, str] | None:
    """The kind of a text; `None` for what is none."""
    if b"\0" in head:
        return None
    try:
        # not final: the head may end inside a character
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return None
    start = text.lstrip().lower()
    if start.startswith(_HTML):
        return "an HTML page", f"{_DOWNLOAD}, not the page about it"
    if start.startswith("<?xml"):
        return "an XML text, as a server sends for an error", _DOWNLOAD
    if '"weight_map"' in text:
        return "the index of a model in several files", "save them as one"
    if start.startswith(("{", "[")):
        return "a JSON text", _DOWNLOAD
    return "a text", _DOWNLOAD


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise ValueError(f"{path}: truncated or damaged ({error}); download it again") from error
    if any(name.endswith("/constants.pkl") for name in names):
        raise ValueError(
            f"{path}: is a TorchScript archive, which carries code; save its weights first with "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)"
        )
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        return
    inside = [name for name in names if name.endswith(WEIGHT_SUFFIXES)]
    if inside:
        what, advice = f"a zip archive with {inside[0]!r} in it", _UNPACK
    elif any(name.endswith(".npy") for name in names):
        what, advice = "an archive of NumPy arrays (.npz), as JAX projects publish", _CONVERT
    elif any(name.endswith(".h5") for name in names):
        what, advice = "a Keras model", _CONVERT
    else:
        what, advice = "a zip archive without weights", _DOWNLOAD
    raise ValueError(f"{path}: is {what}, not a file of weights; {advice}")
