"""Weight files by their content: what loads, what does not, and what is said of it."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from leopart_kit.backbones.files import load_file

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3)}


def error_of(path: Path) -> str:
    """The one line about a file that is not loaded."""
    message = complaint(path)
    assert message is not None
    return message.replace(str(path), "")


def complaint(path: Path) -> str | None:
    """What is wrong with a file, in one line that names it; ``None`` where it loads."""
    message = None
    try:
        load_file(path)
    except ValueError as error:
        message = str(error)
    assert message is None or (path.name in message and "\n" not in message)
    return message


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors", "a.ckpt", "a", "a.txt"])
@pytest.mark.parametrize("legacy", [True, False])
def test_the_content_decides_and_not_the_name(tmp_path: Path, name: str, legacy: bool):
    torch.save(WEIGHTS, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    assert torch.equal(load_file(tmp_path / name)["a.weight"], WEIGHTS["a.weight"])
    save_file(WEIGHTS, tmp_path / name)
    assert torch.equal(load_file(tmp_path / name)["a.weight"], WEIGHTS["a.weight"])


NUMPY_KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "g")
BESIDE_WEIGHTS = {
    "random state": np.random.get_state(),
    "generators": [np.random.RandomState(0), np.random.default_rng(0)],
    "other generators": [np.random.Generator(np.random.Philox(1)), random.getstate()],
    "arrays": [np.zeros(3, kind) for kind in (*NUMPY_KINDS, "U5", "S5", "M8[s]", "m8[s]")],
    "odd arrays": [np.array([1, "a", None], object), np.zeros(2, [("a", "f4")])],
    "numbers": [np.dtype(kind).type(1) for kind in NUMPY_KINDS],
    "texts": [np.str_("x"), np.bytes_(b"x"), np.datetime64("2020-01-01")],
    "types": [np.dtype("u4"), np.float32, int],
    "arguments": argparse.Namespace(out=Path("out"), start=datetime.datetime.now()),
    "containers": [collections.defaultdict(list, a=[1]), collections.Counter("ab"), {1, 2}],
}


@pytest.mark.parametrize("kind", BESIDE_WEIGHTS)
@pytest.mark.parametrize("legacy", [True, False])
def test_plain_data_beside_the_weights_does_no_harm(tmp_path: Path, kind: str, legacy: bool):
    content = {**WEIGHTS, "rest": BESIDE_WEIGHTS[kind]}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=not legacy)
    assert torch.equal(load_file(tmp_path / "a.pt")["a.weight"], WEIGHTS["a.weight"])


class _Malicious:
    def __reduce__(self):
        return os.system, ("touch executed",)


class _Sneaky:
    """Hands a name of the allowed ones another function."""

    def __reduce__(self):
        return exec, ("open('executed', 'w')",)


@pytest.mark.parametrize("payload", [_Malicious(), _Sneaky(), np.array([_Malicious()], object)])
def test_code_is_refused_and_not_run(tmp_path: Path, monkeypatch, payload: object):
    monkeypatch.chdir(tmp_path)
    torch.save({**WEIGHTS, "extra": payload}, tmp_path / "zip.pth")
    torch.save([payload], tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "raw.pkl").write_bytes(pickle.dumps({"a": payload}, protocol=2))
    for name in ("zip.pth", "legacy.pth", "raw.pkl"):
        assert "unpickling" in error_of(tmp_path / name)
    for protocol in (0, 4):
        (tmp_path / "raw.pkl").write_bytes(pickle.dumps({"a": payload}, protocol=protocol))
        error_of(tmp_path / "raw.pkl")
    assert not (tmp_path / "executed").exists()


def _zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/weights.safetensors", save(WEIGHTS))


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "html": (lambda p: p.write_text("\n<!DOCTYPE html><html>..."), "an HTML page"),
    "xml": (lambda p: p.write_text("<?xml version='1.0'?><Error>AccessDenied"), "an XML text"),
    "lfs": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "text": (lambda p: p.write_text("not weights at all, only text"), "is a text"),
    "umlauts": (lambda p: p.write_text("ä" * 4095 + "€"), "is a text"),
    "json": (lambda p: p.write_text(json.dumps({"error": 1})), "a JSON text"),
    "json at 8": (lambda p: p.write_text('{"a": 1,{'), "a JSON text"),
    "shards": (lambda p: p.write_text('{"weight_map": {}}'), "in several files"),
    "npz": (lambda p: np.savez(p.open("wb"), a=np.zeros(2)), "NumPy arrays"),
    "npy": (lambda p: np.save(p.open("wb"), np.zeros(2)), "a NumPy array"),
    "numpy pickle": (lambda p: p.write_bytes(pickle.dumps(np.zeros(2), 2)), "did not write"),
    "protocol 4": (lambda p: torch.save(WEIGHTS, p, pickle_protocol=4), "another protocol"),
    "zip": (_zipped, "weights.safetensors' in it"),
    "gzip": (lambda p: p.write_bytes(b"\x1f\x8b\x08" + bytes(20)), "unpack it"),
    "hdf5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(20)), "HDF5"),
    "tensorflow": (
        lambda p: p.write_bytes(bytes(40) + bytes.fromhex("57fb808b247547db")),
        "TensorFlow checkpoint",
    ),
    "flax": (lambda p: p.write_bytes(b"\x81\xa6params\x80"), "Flax"),
    "onnx": (lambda p: p.write_bytes(b"\x08\x08\x12\x07pytorch"), "ONNX"),
    "image": (lambda p: p.write_bytes(b"\xff\xd8\xff\xe0JFIF"), "an image"),
    "zeros": (lambda p: p.write_bytes(bytes(5000)), "nothing that PyTorch"),
    "empty": (lambda p: p.touch(), "is empty"),
    "tensor": (lambda p: torch.save(torch.zeros(3), p), "not a dictionary of tensors"),
    "script": (
        lambda p: torch.jit.script(torch.nn.Linear(2, 2)).save(p),  # type: ignore[attr-defined]
        "TorchScript",
    ),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("kind", OTHERS)
def test_files_of_other_kinds_are_called_what_they_are(tmp_path: Path, name: str, kind: str):
    write, what = OTHERS[kind]
    write(tmp_path / name)
    message = error_of(tmp_path / name)
    assert what in message
    assert "run code" not in message


def test_only_regular_files_are_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "link.pth").symlink_to(tmp_path / "pipe.pth")
    (tmp_path / "loop.pth").symlink_to(tmp_path / "loop.pth")
    for path in ("pipe.pth", "link.pth", "loop.pth"):
        error_of(tmp_path / path)
    for path in (Path("/dev/zero"), Path("/dev/null"), tmp_path, Path("a" * 5000)):
        error_of(path)
    with pytest.raises(ValueError, match="null byte"):
        load_file(Path("a\0"))
    for path in (tmp_path / "absent.pth", Path("/dev/null/x.pth")):
        with pytest.raises(FileNotFoundError, match=path.name):
            load_file(path)


def _whole(content: dict[str, object], legacy: bool | None) -> bytes:
    """The bytes of a file: safetensors, or PyTorch's in its older or newer form."""
    if legacy is None:
        return save(WEIGHTS)
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


WHOLE = [
    _whole({**WEIGHTS, "rest": BESIDE_WEIGHTS["arguments"]}, old) for old in (None, True, False)
]


@settings(deadline=None, max_examples=150)
@given(
    whole=st.sampled_from(WHOLE),
    cut=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=12),
)
def test_a_damaged_file_ends_in_one_line(tmp_path_factory, whole, cut, changes):
    damaged = bytearray(whole)
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    path = tmp_path_factory.getbasetemp() / "damaged.pt"
    path.write_bytes(damaged[: int(cut * len(damaged)) + 1])
    complaint(path)
