"""Images in tars, as WebDataset keeps them."""

from __future__ import annotations

import os
import pickle
import re
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.image_folder import image_folder
from leopart_kit.data.loading import load_dataset
from leopart_kit.data.tar_images import tar_images
from leopart_kit.data.tar_index import tar_index
from leopart_kit.evaluation.split_audit import audit_splits
from tests.data.image_writers import truncate
from tests.data.shard_writers import pairs, write_folder, write_tar, write_tars

PATTERNS = pytest.mark.skipif(
    find_spec("braceexpand") is None, reason="patterns need braceexpand, of the extra shards"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "folder")


@pytest.fixture
def tars(folder: Path, tmp_path: Path) -> Path:
    return write_tars(folder, tmp_path / "tars")


@pytest.fixture
def picture(folder: Path) -> bytes:
    return pairs(folder)[0][0].read_bytes()


def test_tars_are_the_folder(folder: Path, tars: Path):
    stored, whole = tar_images(tars, mask="seg.png"), image_folder(folder)
    assert (list(stored.names), stored.class_names) == (list(whole.names), whole.class_names)
    for row, ((image, mask, name), (one, its_mask, _)) in enumerate(
        zip(stored, whole, strict=True)
    ):
        assert torch.equal(image, one), name
        assert (mask is None) == (its_mask is None)
        assert mask is None or its_mask is None or torch.equal(mask, its_mask)
        assert stored.image_size(row) == whole.image_size(row)
        assert torch.equal(stored.load_reduced(row, (8, 8)), whole.load_reduced(row, (8, 8)))
    assert len(audit_splits(stored, whole).by_content) == len(whole)
    assert set(stored.notes) == {
        "1 of 6 images have no mask; they are not scored",
        "left out, not images: 6 .json",
    }


@pytest.mark.parametrize(
    ("root", "settings"),
    [
        pytest.param("train-{000..001}.tar", {}, marks=PATTERNS),
        pytest.param("train-00{0,1}.tar", {}, marks=PATTERNS),
        ("", {}),
        ("", {"split": "train"}),
        ("", {"shards": ["train-000.tar", "train-001.tar"]}),
        pytest.param("", {"shards": ["train-{000..001}.tar"]}, marks=PATTERNS),
        ("", {"image": None, "mask": ".SEG.png"}),
    ],
)
def test_ways_to_say_which_tars(tars: Path, root: str, settings: dict):
    given = {"split": "all", "mask": "seg.png", **settings}
    stored = load_dataset("webdataset", tars / root, **given)
    assert list(stored.names) == [f"{row:02d}" for row in range(6)]
    assert stored.class_names == ("background", "leaf", "stem")


@pytest.mark.parametrize("suffix", [".tar.gz", ".TGZ", ".tar.zst"])
def test_a_compressed_tar_is_not_left_out_in_silence(tars: Path, suffix: str):
    (tars / f"train-002{suffix}").write_bytes(b"packed")
    with pytest.raises(ValueError, match=re.escape(f"train-002{suffix}")):
        tar_images(tars)
    assert len(tar_images(tars, shards=["train-000.tar", "train-001.tar"])) == 6


def test_a_split_is_a_folder_or_a_beginning(tars: Path):
    (tars / "val").mkdir()
    (tars / "train-001.tar").rename(tars / "val/a.tar")
    assert len(tar_images(tars, "val")) == len(tar_images(tars, "train")) == 3
    with pytest.raises(ValueError, match="train"):
        tar_images(tars, "test")


def test_parts_and_workers_read_the_same(tars: Path):
    stored = load_dataset("webdataset", tars, "all", mask="seg.png", limit=3)
    assert list(stored.names) == ["00", "02", "05"]
    again = pickle.loads(pickle.dumps(stored))
    assert again.fingerprint() == stored.fingerprint()
    assert again.mask_fingerprint() == stored.mask_fingerprint()
    assert torch.equal(again[1][0], stored[1][0])


def test_content_counts_wherever_it_lies(folder: Path, tars: Path, tmp_path: Path):
    before = tar_images(tars, mask="seg.png")
    anew = tar_images(write_tars(folder, tmp_path / "other", 3), mask="seg.png")
    assert before.fingerprint() == anew.fingerprint()
    assert before.mask_fingerprint() == anew.mask_fingerprint()
    image, mask = pairs(folder)[2]
    assert mask is not None
    image.write_bytes(image.read_bytes() + b" ")
    other = tar_images(write_tars(folder, tmp_path / "changed"), mask="seg.png")
    assert before.fingerprint() != other.fingerprint()
    assert before.mask_fingerprint() == other.mask_fingerprint()


def test_keys_of_two_tars_may_be_the_same(picture: bytes, tmp_path: Path):
    for name in ("a", "b"):
        write_tar(tmp_path / f"{name}.tar", {"0.png": picture, "x/1.PNG": picture})
    stored = tar_images(tmp_path)
    assert list(stored.names) == ["a/0", "a/x/1", "b/0", "b/x/1"]
    assert len({str(stored.image_path(row)) for row in range(4)}) == 4


def test_members_that_play_no_part_are_counted(picture: bytes, tmp_path: Path):
    names = ("A.png", "a.png", "__meta__/a.png", "._a.png", "README", "a.cls", "./b.x.png")
    file = write_tar(tmp_path / "a.tar", {name: picture for name in names})
    with tarfile.open(file, "a") as tar:
        link = tarfile.TarInfo("c.png")
        link.type, link.linkname = tarfile.SYMTYPE, "a.png"
        tar.addfile(link)
        tar.addfile(_folder("sub"))
    stored = tar_images(file)
    assert list(stored.names) == ["A", "a"]
    (note,) = stored.notes
    assert all(part in note for part in ("1 .cls", "1 .x.png", "3 without a key", "1 links"))
    assert list(tar_images(file, image="x.png").names) == ["b"]


def _folder(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("a.jpg", b"1"), ("a.jpg", b"2")], "a.jpg"),
        ([("a.jpg", b"1"), ("a.JPG", b"2")], "a.jpg"),
        ([("a.jpg", b"1"), ("./a.jpg", b"2")], "a.jpg"),
        ([("a.jpg", b"1"), ("a.png", b"2")], "images of a"),
        ([], "no image"),
        ([("a.txt", b"1")], "no image"),
        ([("jpg", b"1")], "no image"),
    ],
)
def test_tars_that_will_not_do_are_named(tmp_path: Path, members: list, says: str):
    write_tar(tmp_path / "x.tar", members)
    with pytest.raises((ValueError, FileNotFoundError), match=rf"x\.tar.*{says}") as caught:
        tar_images(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["zero bytes", "no tar", "gzip", "joined", "missing"])
def test_files_that_are_no_whole_tar(tars: Path, kind: str):
    file = tars / "train-001.tar"
    content = file.read_bytes()
    if kind == "missing":
        file.unlink()
    elif kind == "gzip":
        with tarfile.open(file, "w:gz") as tar:
            tar.add(tars / "classes.txt", "a.txt")
    else:
        parts = {"zero bytes": b"", "no tar": b"GIF89a" * 400, "joined": content * 2}
        file.write_bytes(parts[kind])
    with pytest.raises((ValueError, FileNotFoundError), match=r"train-001\.tar") as caught:
        tar_images(tars, shards=["train-000.tar", "train-001.tar"])
    assert "\n" not in str(caught.value)


@given(data=st.data())
def test_every_truncated_tar_is_refused(data: st.DataObject, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tar")
    whole = write_tar(folder / "x.tar", {f"{i}.png": bytes([i + 1]) * 700 for i in range(4)})
    content = whole.read_bytes()
    end = 4 * (512 + 1024)
    keep = data.draw(st.integers(0, end + 511) | st.sampled_from(range(0, end + 1, 512)))
    whole.write_bytes(content[:keep])
    with pytest.raises(ValueError, match=r"x\.tar"):
        tar_images(whole)


@pytest.mark.parametrize("place", [0, 1024 + 512, 2 * (1024 + 512)])
def test_a_damaged_head_is_not_the_end(tmp_path: Path, place: int):
    file = write_tar(tmp_path / "x.tar", {f"{i}.png": bytes([i + 1]) * 700 for i in range(4)})
    content = bytearray(file.read_bytes())
    content[place + 150] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.tar"):
        tar_images(file)


def test_a_changed_tar_has_a_new_index(tars: Path, picture: bytes):
    stored = tar_images(tars)
    kept = pickle.dumps(stored)
    write_tar(tars / "train-000.tar", {"z.png": picture})
    assert tar_images(tars).names[0] == "z"
    with pytest.raises(ValueError, match=r"train-000\.tar"):
        stored[1]
    with pytest.raises(ValueError, match=r"train-000\.tar\.index"):
        pickle.loads(kept)


def test_an_index_that_lies_is_noticed_where_it_is_used(tars: Path, picture: bytes):
    file = tars / "train-000.tar"
    tar_images(tars)
    state, content = file.stat(), file.read_bytes()
    shifted = write_tar(file, {"first.json": bytes(1000)}).read_bytes()[:1536] + content
    file.write_bytes(shifted[: len(content)])
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    stored = tar_images(tars)  # as large and as old as the index says
    with pytest.raises(BrokenSampleError, match=r"train-000\.tar/00\.png"):
        stored[0]


def test_what_is_wrong_in_a_member_is_said_of_it(tars: Path, folder: Path):
    (image, mask), other = pairs(folder)[0], pairs(folder)[2][0]
    assert mask is not None
    small = truncate(pairs(folder)[4][1] or mask)  # a mask that breaks off
    members = {
        "text.png": b"no image",
        "text.seg.png": mask.read_bytes(),
        "cut.png": other.read_bytes()[:700],
        "half.png": image.read_bytes(),
        "half.seg.png": small.read_bytes(),
        "turned.png": image.read_bytes(),
        "turned.seg.png": _turned(mask),
    }
    write_tar(tars / "x.tar", members)
    stored = tar_images(tars / "x.tar", mask="seg.png")
    for row, name in enumerate(("text.png", "cut.png", "half.seg.png", "turned.seg.png")):
        with pytest.raises(BrokenSampleError, match=rf"x\.tar/{name}") as caught:
            stored[row]
        assert "\n" not in str(caught.value)


def _turned(mask: Path) -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    with Image.open(mask) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(out, "png")
    return out.getvalue()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"mask": "msk.png"}, "msk.png"),
        ({"image": "webp"}, "no image"),
        ({"image": "png", "mask": "PNG"}, "mask"),
        ({"shards": ["none.tar"]}, "none.tar"),
        pytest.param({"shards": ["train-{000..003}.tar"]}, "train-002.tar", marks=PATTERNS),
        ({"shards": ["train-000.tar", "train-000.tar"]}, "shards"),
        ({"shards": ["train-000.tar"], "split": "train"}, "shards"),
        ({"label_set": "21"}, "label set"),
        ({"max_megapixels": 0}, "max_megapixels"),
    ],
)
def test_settings_that_will_not_do(tars: Path, settings: dict, says: str):
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        load_dataset("webdataset", tars, **{"split": "all", **settings})


def test_long_names_and_other_alphabets(picture: bytes, tmp_path: Path):
    names = [f"{'x' * 150}/{'y' * 90}.png", "ünï.png", "1.5/b.png"]
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        file = tmp_path / f"{form}.tar"
        with tarfile.open(file, "w", format=form) as tar:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = len(picture)
                tar.addfile(info, _stream(picture))
        stored = tar_images(file)
        assert list(stored.names) == [name[:-4] for name in names]
        assert all(stored[row][0].shape == (3, 40, 48) for row in range(3))
        assert tar_index(file)["start"].tolist()[0] % 512 == 0


def _stream(content: bytes):
    import io

    return io.BytesIO(content)
