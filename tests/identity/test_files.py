"""Hashes of sets of files: any change of content shows, a copy or a touch does not."""

from __future__ import annotations

import io
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from leopart_kit.identity import files, hash_files


def hash_folder(folder: Path) -> str:
    found = sorted(path for path in folder.iterdir())
    return hash_files([path.name for path in found], [str(path) for path in found])


def write(folder: Path, contents: list[bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for index, content in enumerate(contents):
        (folder / f"{index}").write_bytes(content)
    return folder


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=50), min_size=1, max_size=4), st.data())
def test_any_byte_counts_and_neither_place_nor_time(tmp_path: Path, contents, data):
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    before = hash_folder(write(tmp_path / "a", contents))
    moved = shutil.copytree(tmp_path / "a", tmp_path / "b")
    for path in moved.iterdir():
        os.utime(path, (1, data.draw(st.integers(0, 2**31))))
    assert hash_folder(moved) == before
    chosen = data.draw(st.integers(0, len(contents) - 1))
    changed = data.draw(st.binary(max_size=50).filter(lambda new: new != contents[chosen]))
    stat = (moved / f"{chosen}").stat()
    (moved / f"{chosen}").write_bytes(changed)
    os.utime(moved / f"{chosen}", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert hash_folder(moved) != before


def test_names_order_and_number_count(tmp_path: Path):
    folder = write(tmp_path / "a", [b"x", b"y", b"y"])
    place = [str(folder / "0"), str(folder / "1"), str(folder / "2")]
    given_ = [
        (["a", "b", "c"], place),
        (["a", "b", "d"], place),
        (["a", "b", "c"], [place[1], place[0], place[2]]),
        (["a", "b"], place[:2]),
        (["ab", "c"], place[:2]),
        ([], []),
    ]
    assert len({hash_files(names, paths) for names, paths in given_}) == len(given_)
    # Two of the same content are one and the same, as is one file under two names.
    assert hash_files(["a", "b"], [place[1], place[2]]) == hash_files(["a", "b"], [place[1]] * 2)


def test_missing_files_and_others_count_as_such(tmp_path: Path):
    path = tmp_path / "x"
    missing = hash_files(["x"], [str(path)])
    os.mkfifo(path)  # which would be waited for
    pipe = hash_files(["x"], [str(path)])
    path.unlink()
    path.mkdir()
    folder = hash_files(["x"], [str(path)])
    path.rmdir()
    path.write_bytes(b"")
    assert hash_files(["x"], [str(path)]) not in (missing, pipe, folder)
    assert hash_files(["x"], ["a\0b"]) == missing


def test_other_pixels_of_a_large_set_of_pngs_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Also those in the middle of files that are not read whole and stay as long as they were."""
    monkeypatch.setattr(files, "WHOLE_BYTES", 1000)
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    found = {}
    for place in (60, 100, 140):
        image = noise.copy()
        image[place, place] = 0
        written = io.BytesIO()
        Image.fromarray(image).save(written, format="PNG", compress_level=0)
        found[hash_folder(write(tmp_path / f"{place}", [written.getvalue()]))] = len(
            written.getvalue()
        )
    assert len(found) == 3
    assert len(set(found.values())) == 1


def test_of_a_large_set_sizes_and_ends_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(files, "END_BYTES", 100)
    monkeypatch.setattr(files, "MOST_FILES", 2)
    content = bytes(1000)
    before = hash_folder(write(tmp_path / "a", [content] * 4))
    for place, other in enumerate([b"\1" + content[1:], content, content[:-1] + b"\1", content]):
        contents = [content] * 4
        contents[place] = other
        same = hash_folder(write(tmp_path / f"{place}", contents)) == before
        assert same == (other == content), place
    longer = [content, content, content, content + b"\0"]
    assert hash_folder(write(tmp_path / "longer", longer)) != before


def test_an_untouched_set_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = write(tmp_path / "a", [b"x", b"y"])
    monkeypatch.setattr(files, "_SETTLED", 0)
    time.sleep(0.02)  # a tick of the disk's clock
    before = hash_folder(folder)
    reads: list[str] = []
    original = files._hash

    def counted(one, whole):
        reads.append(one.file)
        return original(one, whole)

    monkeypatch.setattr(files, "_hash", counted)
    assert hash_folder(folder) == before
    assert reads == []
    stat = (folder / "1").stat()
    (folder / "1").write_bytes(b"z")
    os.utime(folder / "1", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert hash_folder(folder) != before, "size and time of change are as they were"
