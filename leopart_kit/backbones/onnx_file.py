"""Tensors of an ONNX export; nothing in it is run, and nothing outside its folder is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leopart_kit.backbones.onnx_names import Constant, name_weights

_EXPORT_AGAIN = "export it again from PyTorch with torch.onnx.export"
_QUANTISED = frozenset(
    {"DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearMatMul", "ConvInteger"}
)


def load_onnx(path: Path) -> dict[str, Tensor]:
    """Weights of an exported network by name, as `name_weights` finds them; the rest as it is.

    Raises `ValueError` for a damaged file, a quantised network, external data that is missing or
    outside the file's folder, and where the package `onnx` is not installed.
    """
    onnx = _package(path)
    try:
        model = onnx.load(path, load_external_data=False)
        _check_names(model.graph)
    except Exception as error:  # whatever the reader stumbles on, it is the file's content
        raise ValueError(
            f"{path}: not a complete ONNX file ({_first_line(error)}); download it again"
        ) from error
    kinds = {node.op_type for node in model.graph.node}
    if kinds & _QUANTISED:
        raise ValueError(
            f"{path}: a quantised export ({min(kinds & _QUANTISED)}); give one in floating point"
        )
    if not model.graph.initializer:
        raise ValueError(f"{path}: an ONNX model without weights in it; {_EXPORT_AGAIN}")
    constants = [_constant(path, t.name, t, True) for t in model.graph.initializer]
    for node in model.graph.node:
        values = [a.t for a in node.attribute if a.name == "value" and a.HasField("t")]
        if node.op_type == "Constant" and values and node.output:
            constants.append(_constant(path, node.output[0], values[0], False))
    try:
        return name_weights(model.graph.node, constants)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {_EXPORT_AGAIN}") from error


def _check_names(graph: Any) -> None:
    """Raise `ValueError` for a name that is not UTF-8, which protobuf hands on as bytes."""
    names = [tensor.name for tensor in graph.initializer]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output]
        names += [part for a in node.attribute for part in (a.name, a.t.name)]
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise ValueError(f"the name {odd[0]!r} is not UTF-8")


def _package(path: Path) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ValueError(
            f"{path}: an ONNX model, which the package onnx reads: pip install 'leopart-kit[onnx]'"
        ) from error
    return onnx


def _constant(path: Path, name: str, tensor: Any, initializer: bool) -> Constant:
    """A constant of the graph; its numbers are read when they are asked for."""

    def read() -> Tensor:
        try:
            return _tensor(path, tensor)
        except Exception as error:
            raise ValueError(f"{path}: {name!r} cannot be read ({_first_line(error)})") from error

    return Constant(name, tuple(tensor.dims), read, initializer)


def _tensor(path: Path, proto: Any) -> Tensor:
    from onnx import TensorProto, external_data_helper, numpy_helper

    if proto.data_location == TensorProto.EXTERNAL:
        _check_external(path.parent, proto)
        external_data_helper.load_external_data_for_tensor(proto, str(path.parent))
    if any(size < 0 for size in proto.dims):
        raise ValueError(f"it has the shape {list(proto.dims)}")
    array = numpy_helper.to_array(proto)
    if proto.data_type == TensorProto.BFLOAT16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def _check_external(folder: Path, proto: Any) -> None:
    """The file beside the export that holds a tensor; a path may lead anywhere."""
    entries = {entry.key: entry.value for entry in proto.external_data}
    location = entries.get("location", "")
    place = (folder / location).resolve()
    if not location or not place.is_relative_to(folder.resolve()):
        raise ValueError(f"its data is in {location!r}, outside the folder of the export")
    if not place.is_file():
        raise ValueError(f"its data should be in {location!r} beside the export, which is missing")
    start, length = int(entries.get("offset") or 0), int(entries.get("length") or 0)
    if min(start, length) < 0 or start + length > place.stat().st_size:
        raise ValueError(f"{location!r} beside the export is too short; download it again")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
