"""Arrays come back as they were saved; whatever is wrong with a file is one `ValueError`."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leopart_kit.npz_file import read_npz

DTYPES = st.sampled_from(["?", "i1", "<i8", ">u2", "<f2", "<f4", "<c8", "<U5"])


@given(
    array=hnp.arrays(
        DTYPES.filter(lambda name: name != "<c8"),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    fortran=st.booleans(),
)
def test_what_was_saved_comes_back(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, fortran: bool
):
    array = np.asfortranarray(array) if fortran else array
    path = tmp_path_factory.mktemp("npz") / "arrays.npz"
    np.savez(path, array=array, other=np.arange(3))
    found = read_npz(path)
    assert set(found) == {"array", "other"}
    assert found["array"].dtype == array.dtype
    np.testing.assert_array_equal(found["array"], array)
    assert found["array"].flags.writeable


def test_files_that_are_none_are_named_and_never_unpickled(tmp_path: Path):
    path = tmp_path / "arrays.npz"
    with pytest.raises(FileNotFoundError, match=r"arrays\.npz"):
        read_npz(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    marker = tmp_path / "unpickled"
    pickled = {"array": np.array([_Unpickled(marker)], dtype=object)}
    files = {
        "nothing": b"",
        "text": b"text",
        "one array": (tmp_path / "one.npy").read_bytes(),
    }
    for content in files.values():
        path.write_bytes(content)
        _refused(path)
    np.savez(path, allow_pickle=True, **pickled)
    _refused(path)
    assert not marker.exists()
    np.savez(path, array=np.zeros(2, dtype=[("a", "i4")]))
    _refused(path)
    np.savez_compressed(path, array=np.zeros(1 << 24))
    _refused(path)
    path.unlink()
    os.mkfifo(path)
    _refused(path)


@pytest.mark.parametrize(
    "shape", [(1 << 40,), (1 << 62, 4), (0, 1 << 99), (-1, -2), (3,), (2, "2"), (2,) * 99, [2]]
)
def test_a_header_that_promises_more_than_there_is_costs_nothing(tmp_path: Path, shape: object):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape!r}, }}\n"
    _write_member(tmp_path / "arrays.npz", text, np.zeros(2).tobytes())
    _refused(tmp_path / "arrays.npz")


@pytest.mark.parametrize("text", ["(" * 9000, "{'descr': " * 500, "x" * 70_000, "{}", "\x00"])
def test_a_header_that_is_none_is_refused(tmp_path: Path, text: str):
    _write_member(tmp_path / "arrays.npz", text[:65_000], b"")
    _refused(tmp_path / "arrays.npz")


def test_members_that_share_their_bytes_are_refused(tmp_path: Path):
    path = tmp_path / "arrays.npz"
    np.savez(path, a=np.zeros(100_000))
    with zipfile.ZipFile(path, "a") as archive:
        for name in "bcd":
            twin = zipfile.ZipInfo(f"{name}.npy")
            (first,) = [info for info in archive.infolist() if info.filename == "a.npy"]
            for field in ("header_offset", "file_size", "compress_size", "CRC", "compress_type"):
                setattr(twin, field, getattr(first, field))
            archive.filelist.append(twin)
        archive._didModify = True  # type: ignore[attr-defined]
    _refused(path)


def test_two_arrays_of_one_name_and_other_files_are_refused(tmp_path: Path):
    path = tmp_path / "arrays.npz"
    np.savez(path, a=np.zeros(2))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "text")
    _refused(path)
    np.savez(path, a=np.zeros(2))
    with zipfile.ZipFile(path, "a") as archive:
        content = archive.read("a.npy")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", content)
    _refused(path)


class _Unpickled:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def _refused(path: Path) -> None:
    with pytest.raises(ValueError, match=path.name) as error:
        read_npz(path)
    assert "\n" not in str(error.value)


def _write_member(path: Path, header: str, content: bytes) -> None:
    """A file with one array whose header is this text."""
    encoded = header.encode("latin1")
    start = b"\x93NUMPY\x01\x00" + len(encoded).to_bytes(2, "little")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("array.npy", start + encoded + content)
