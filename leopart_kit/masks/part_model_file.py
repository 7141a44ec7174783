"""The fields of a part model from a `model.npz`, every one checked: it may come from anyone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from leopart_kit.clustering.kmeans import Metric
from leopart_kit.clustering.projection import TokenProjection
from leopart_kit.input_files import parse_json
from leopart_kit.masks.part_names import parse_names
from leopart_kit.npz_file import read_npz

FORMAT_VERSION = 1

_LARGEST_SIDE = 1 << 16  # pixels
_STANDARDIZER = ("standardizer.mean", "standardizer.std")
_PCA = ("pca.mean", "pca.components", "pca.explained_variance", "pca.explained_variance_ratio")
_ALWAYS = ("header", "names", "centroids", "foreground", "l2_normalize")

Arrays = Mapping[str, np.ndarray]


def read_fields(path: Path) -> dict[str, Any]:
    """Content of a `PartModel`, by the names of its fields.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no such model, or of another format; names it.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist; set model to the model.npz of an earlier export"
        )
    try:
        arrays = read_npz(path)
        if "header" not in arrays:
            raise ValueError("it lacks header")
        fields = _fields_of_header(parse_json(_text(arrays, "header"), "its header"))
        _check_names(arrays)
        centroids = _floats(arrays, "centroids", 2)
        fields["projection"] = _projection(arrays, centroids.shape[1])
        fields["centroids"] = torch.from_numpy(centroids)
        fields["foreground"] = _array(arrays, "foreground", np.bool_, (len(centroids),))
        fields["communities"] = _communities(arrays, len(centroids))
        fields["names"] = parse_names(_text(arrays, "names"), "its names")
    except ValueError as error:
        raise ValueError(
            f"{path} is not a part model ({error}); set model to the model.npz of an export"
        ) from error
    return fields


def _check_names(arrays: Arrays) -> None:
    wanted = set(_ALWAYS)
    for group in (_STANDARDIZER, _PCA):
        if any(name in arrays for name in group):
            wanted |= set(group)
    missing = sorted(wanted - set(arrays))
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    unknown = sorted(set(arrays) - wanted - {"communities"})
    if unknown:
        raise ValueError(f"it holds {unknown[0]!r}, which no model has")


def _fields_of_header(header: Any) -> dict[str, Any]:
    expected: dict[str, type] = {
        "format_version": int,
        "encoder": str,
        "encoder_sha256": str,
        "resolution": list,
        "metric": str,
    }
    if not isinstance(header, dict):
        raise ValueError("its header is no mapping")
    version = header.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(f"format version {version}, this release reads {FORMAT_VERSION}")
    for name, kind in expected.items():
        if type(header.get(name)) is not kind:
            raise ValueError(f"{name} of its header must be {kind.__name__}")
    height_width = header["resolution"]
    if len(height_width) != 2 or not all(
        type(side) is int and 1 <= side <= _LARGEST_SIDE for side in height_width
    ):
        raise ValueError(f"resolution of its header must be two sides up to {_LARGEST_SIDE} pixels")
    if header["metric"] not in get_args(Metric):
        raise ValueError(f"metric of its header must be {' or '.join(get_args(Metric))}")
    return {
        "encoder": header["encoder"],
        "encoder_sha256": header["encoder_sha256"],
        "resolution": tuple(height_width),
        "metric": header["metric"],
    }


def _projection(arrays: Arrays, out_dim: int) -> TokenProjection:
    """The projection, whose last step must give `out_dim` numbers."""
    _array(arrays, "l2_normalize", np.bool_, ())
    dim = out_dim
    if _PCA[0] in arrays:
        dim = _floats(arrays, "pca.mean", 1).shape[0]
        _array(arrays, "pca.components", np.float32, (out_dim, dim))
        for name in _PCA[2:]:
            _array(arrays, name, np.float32, (out_dim,))
    if _STANDARDIZER[0] in arrays:
        for name in _STANDARDIZER:
            _array(arrays, name, np.float32, (dim,))
        if (arrays["standardizer.std"] <= 0).any():
            raise ValueError("standardizer.std must be above 0")
    return TokenProjection.from_arrays(arrays)


def _communities(arrays: Arrays, num_clusters: int) -> np.ndarray | None:
    if "communities" not in arrays:
        return None
    communities = _array(arrays, "communities", np.int64, (num_clusters,))
    if communities.min() < -1 or communities.max() >= num_clusters:
        raise ValueError(f"communities must be -1 to {num_clusters - 1}")
    return communities


def _text(arrays: Arrays, name: str) -> str:
    value = arrays[name]
    if value.shape != () or value.dtype.kind != "U":
        raise ValueError(f"{name} must be a text, got {value.dtype} {list(value.shape)}")
    return str(value)


def _floats(arrays: Arrays, name: str, ndim: int) -> np.ndarray:
    """A float32 array with so many dimensions, none of them empty."""
    shape = arrays[name].shape
    if len(shape) != ndim or 0 in shape:
        raise ValueError(f"{name} must have {ndim} dimensions, none empty, got {list(shape)}")
    return _array(arrays, name, np.float32, shape)


def _array(arrays: Arrays, name: str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    value = arrays[name]
    if value.dtype != dtype or value.shape != shape:
        raise ValueError(
            f"{name} must be {np.dtype(dtype)} {list(shape)}, got {value.dtype} {list(value.shape)}"
        )
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ValueError(f"{name} must be finite")
    return value
