"""Arrays from `.npz` files that may be damaged, or made by anyone: no pickles and no bombs."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np

from leopart_kit.input_files import check_regular

_KINDS = "biufU"  # booleans, numbers and text; an object would be a pickle


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file that `np.savez` wrote, each checked against its checksum.

    Compressed files are refused, so that nothing grows beyond the size of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no regular file, or not such a file from end to end.
    """
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if _number_listed(path) != len(members):
                raise ValueError("its list of arrays is damaged")
            if len({member.filename for member in members}) < len(members):
                raise ValueError("it holds two arrays of one name")
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise ValueError("its arrays are larger than the file")
            return {
                member.filename.removesuffix(".npy"): _read(archive, member) for member in members
            }
    # Damaged bytes end in a dozen kinds of errors inside of zipfile, zlib and NumPy.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} is no whole .npz file: {reason}") from error


def _number_listed(path: Path) -> int:
    """Members by the record at the end of the file, which zipfile does not compare with its list.

    A changed length in that list can swallow the next member.
    """
    with path.open("rb") as file:
        file.seek(-22, 2)
        record = file.read()
    return int.from_bytes(record[10:12], "little") if record[:4] == b"PK\x05\x06" else -1


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    name = member.filename
    if not name.endswith(".npy"):
        raise ValueError(f"{name!r} in it is no array")
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed; save it with np.savez")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        headers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in headers:
            raise ValueError(f"{name} is of the unknown version {version}")
        shape, fortran_order, dtype = headers[version](file)
        if dtype.kind not in _KINDS:
            raise ValueError(f"{name} holds {dtype}, neither numbers nor text")
        content = file.read()
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} has {len(content)} bytes, too few or too many for {list(shape)}")
    order = "F" if fortran_order else "C"
    return np.ndarray(shape, dtype, buffer=bytearray(content), order=order)
