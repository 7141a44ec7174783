"""Images in tables of the library `datasets`."""

from __future__ import annotations

import pickle
from itertools import product
from pathlib import Path

import pytest
import torch

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.image_folder import image_folder
from leopart_kit.data.loading import load_dataset
from leopart_kit.data.table_images import table_images
from leopart_kit.evaluation.split_audit import audit_splits
from tests.data.image_writers import truncate
from tests.data.shard_writers import table_of, write_folder, write_parquet

datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("table") / "folder")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def places(folder: Path, to: Path) -> dict[str, Path]:
    table = table_of(folder)
    table.save_to_disk(to / "saved")
    datasets.DatasetDict(train=table, val=table.select(range(2))).save_to_disk(to / "splits")
    write_parquet(folder, to / "parquet")
    arrow = next((to / "saved").glob("*.arrow"))
    found = {"saved": to / "saved", "splits": to / "splits", "parquet": to / "parquet"}
    return {**found, "arrow": arrow, "file": to / "parquet/train-00000-of-00002.parquet"}


def test_tables_are_the_folder(folder: Path, tmp_path: Path):
    whole = image_folder(folder)
    for kind, root in places(folder, tmp_path).items():
        split = "train" if kind in ("splits", "parquet") else "all"
        stored = table_images(root, split, classes="parts", mask="target", key="key")
        assert len(stored) == (3 if kind == "file" else 6)
        assert list(stored.names) == list(whole.names)[: len(stored)]
        assert stored.class_names == whole.class_names
        for (image, mask, name), (one, its_mask, _) in zip(stored, whole, strict=False):
            assert torch.equal(image, one), (kind, name)
            assert (mask is None) == (its_mask is None)
            assert mask is None or its_mask is None or torch.equal(mask, its_mask)
        assert len(audit_splits(stored, whole).by_content) == len(stored)
        again = pickle.loads(pickle.dumps(stored))
        assert again.fingerprint() == stored.fingerprint()
        assert torch.equal(again[2][0], stored[2][0])


def test_parts_and_names_of_rows(folder: Path, tmp_path: Path):
    table_of(folder).save_to_disk(tmp_path / "t")
    part = load_dataset("huggingface", tmp_path / "t", "all", mask="target", limit=3)
    assert list(part.names) == ["all/0", "all/2", "all/5"]
    assert part.num_classes == 3
    plain = load_dataset("huggingface", tmp_path / "t", "all", image="target", limit=1)
    assert plain.num_classes == 0


def test_encoded_images_of_any_column(folder: Path, tmp_path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted((folder / "images").iterdir())
    content = [file.read_bytes() for file in files]
    pq.write_table(pa.table({"image": content, "n": list(range(6))}), tmp_path / "a.parquet")
    structs = [{"bytes": None, "path": str(file)} for file in files]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(structs, kind)}), tmp_path / "b.parquet")
    kinds = [table_images(tmp_path / f"{name}.parquet") for name in "ab"]
    for row, (image, _, _) in enumerate(image_folder(folder)):
        assert all(torch.equal(kind[row][0], image) for kind in kinds)
    assert kinds[1].image_path(0) == files[0]
    beside = [{"bytes": None, "path": f"folder/{file.parent.name}/{file.name}"} for file in files]
    table = folder.parent / "c.parquet"
    pq.write_table(pa.table({"image": pa.array(beside, kind)}), table)
    assert table_images(table).image_path(0) == files[0]


def test_an_empty_cell_and_a_broken_one(folder: Path, tmp_path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    good = next((folder / "images").glob("*.png")).read_bytes()
    rows = [good, None, good[:300], b"no image"]
    pq.write_table(pa.table({"image": pa.array(rows, pa.binary())}), tmp_path / "a.parquet")
    stored = table_images(tmp_path / "a.parquet")
    assert stored[0][0].shape == (3, 40, 48)
    for row in (1, 2, 3):
        with pytest.raises(BrokenSampleError, match=rf"a\.parquet/row {row} of image"):
            stored[row]
    assert stored.fingerprint()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"image": "img"}, "no column 'img'"),
        ({"mask": "msk"}, "no column 'msk'"),
        ({"mask": "picture"}, "different columns"),
        ({"image": "key"}, "column 'key'"),
        ({"mask": "parts"}, "column 'parts'"),
        ({"key": "none"}, "no column 'none'"),
        ({"key": "parts"}, "column 'parts'"),
        ({"classes": "key"}, "column 'key'"),
        ({}, "2 columns of images"),
        ({"split": "val"}, "no split 'val'"),
    ],
)
def test_settings_that_will_not_do(folder: Path, tmp_path: Path, settings: dict, says: str):
    write_parquet(folder, tmp_path / "p")
    given = {"split": "all", **({"image": "picture"} if settings else {}), **settings}
    with pytest.raises(ValueError, match=says) as caught:
        load_dataset("huggingface", tmp_path / "p", **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        *product(["parquet", "arrow", "saved"], ["half", "text", "empty", "missing"]),
        ("parquet", "pages"),  # which the others do not have
        ("parquet", "no rows"),
        ("saved", "no rows"),  # an arrow file is that of a saved table
    ],
)
def test_damaged_tables_are_named(folder: Path, tmp_path: Path, suffix: str, kind: str):
    if suffix == "parquet":
        write_parquet(folder, tmp_path / "p", 1)
        file = root = next((tmp_path / "p").glob("*.parquet"))
    else:
        table_of(folder).save_to_disk(tmp_path / "p")
        file = root = next((tmp_path / "p").glob("*.arrow"))
    if suffix == "saved":
        root = tmp_path / "p"
    content = file.read_bytes()
    if kind == "no rows":
        empty = table_of(folder).select([])
        empty.to_parquet(file) if suffix == "parquet" else empty.save_to_disk(tmp_path / "q")
        root = root if suffix == "parquet" else tmp_path / "q"
    elif kind == "missing":
        file.unlink()
    elif kind == "half":
        truncate(file)
    else:
        pages = content[:4] + bytes(200) + content[204:]
        file.write_bytes({"pages": pages, "text": b"no table" * 99, "empty": b""}[kind])
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        list(table_images(root, image="picture", mask="target"))
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)
