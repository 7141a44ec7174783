"""A model file is read as it was saved or refused in one line, whatever was done to it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.clustering import PCA, Standardizer
from leopart_kit.clustering.projection import TokenProjection
from leopart_kit.masks import PartModel, PartNames
from tests.masks.part_models import model_of

POINTS = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
PROJECTION = TokenProjection(True, Standardizer().fit(POINTS), PCA(3).fit(POINTS))
MODEL = model_of(
    4,
    projection=PROJECTION,
    centroids=torch.eye(4)[:, :3].contiguous(),
    foreground=np.array([True, False, True, True]),
    communities=np.array([1, -1, 0, 1]),
    names=PartNames({2: "Räder"}, {1: "car"}),
)

Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "model.npz"
    MODEL.save(path)
    return path.read_bytes()


def arrays_in(content: bytes) -> Arrays:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)


def loaded_or_refused(path: Path) -> PartModel | str:
    """The model, or the one line that says what is wrong."""
    try:
        return PartModel.load(path)
    except ValueError as error:
        line = str(error)
    assert path.name in line
    assert "\n" not in line
    return line


def refused(path: Path) -> str:
    line = loaded_or_refused(path)
    assert isinstance(line, str), "it was believed"
    return line


def test_files_that_are_no_model_are_named(tmp_path: Path, content: bytes):
    path = tmp_path / "model.npz"
    with pytest.raises(FileNotFoundError, match=r"model\.npz"):
        PartModel.load(path)
    path.mkdir()
    refused(path)
    path.rmdir()
    for broken in (b"", b"text", b"\x80\x04", content[:200], content[: len(content) // 2]):
        path.write_bytes(broken)
        refused(path)


@given(data=st.data())
def test_no_damage_to_the_bytes_is_believed(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
):
    """Cut off, with other bytes in it, or with some left out: refused, or nothing that counts."""
    path = tmp_path_factory.mktemp("damaged") / "model.npz"
    start = data.draw(st.integers(0, len(content) - 1))
    end = data.draw(st.integers(start, min(len(content), start + 8)) | st.just(len(content)))
    path.write_bytes(content[:start] + data.draw(st.binary(max_size=8)) + content[end:])
    loaded = loaded_or_refused(path)
    if isinstance(loaded, PartModel):
        assert loaded.fingerprint() == MODEL.fingerprint()
        assert loaded.names == MODEL.names


ODD_ARRAYS = [
    np.array(0.5, dtype=np.float32),
    np.zeros(0, dtype=np.float32),
    np.zeros((4, 3), dtype=np.float64),
    np.full((4, 3), np.nan, dtype=np.float32),
    np.full(6, np.inf, dtype=np.float32),
    np.zeros(6, dtype=np.float32),
    np.zeros((3, 6), dtype=">f4"),
    np.zeros((4, 3), dtype=np.complex64),
    np.zeros((4, 4), dtype=np.float32),
    np.zeros((0, 3), dtype=np.float32),
    np.ones((5, 3), dtype=np.float32),
    np.array([1, 1, 0, 1]),
    np.array([2**62, 0, 0, 0]),
    np.array([-2, 0, 0, 0]),
    np.array([True, False]),
    np.array("text"),
    np.array(b"bytes"),
    np.array(["{}"]),
    np.array("{}"),
    np.array("[" * 100_000),
    np.array('{"9": "wheel"}'),
    np.array({"a": 1}, dtype=object),
]
NAMES = ["header", "names", "centroids", "foreground", "communities", *PROJECTION.to_arrays()]


@pytest.mark.parametrize("name", NAMES)
def test_an_array_that_is_missing_or_another_is_refused_or_fits(
    tmp_path: Path, content: bytes, name: str
):
    """What is read can be used: it gives a finite score for every token and cluster."""
    path = tmp_path / "model.npz"
    arrays = arrays_in(content)
    lacking = {key: value for key, value in arrays.items() if key != name}
    for changed in (lacking, *({**arrays, name: value} for value in ODD_ARRAYS)):
        np.savez(path, allow_pickle=True, **changed)
        loaded = loaded_or_refused(path)
        if isinstance(loaded, PartModel):
            assert torch.isfinite(loaded.scores(POINTS)).all()
            assert loaded.num_communities <= loaded.num_clusters


def test_an_array_that_no_model_has_is_refused(tmp_path: Path, content: bytes):
    np.savez(tmp_path / "model.npz", **arrays_in(content), extra=np.zeros(2))
    assert "extra" in refused(tmp_path / "model.npz")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", None),
        ("format_version", 7),
        ("format_version", "1"),
        ("format_version", True),
        ("encoder", 3),
        ("encoder_sha256", None),
        ("resolution", 32),
        ("resolution", [32]),
        ("resolution", [32, 0]),
        ("resolution", [32, 1e9]),
        ("resolution", [10**30, 32]),
        ("resolution", ["32", "32"]),
        ("metric", "taxi"),
        ("metric", ["euclidean"]),
    ],
)
def test_a_header_with_another_value_is_refused(
    tmp_path: Path, content: bytes, key: str, value: object
):
    arrays = arrays_in(content)
    header = json.loads(str(arrays["header"]))
    del header[key]
    for changed in (header, {**header, key: value}):
        arrays["header"] = np.array(json.dumps(changed))
        np.savez(tmp_path / "model.npz", **arrays)
        assert key.replace("_", " ") in refused(tmp_path / "model.npz").replace("_", " ")
