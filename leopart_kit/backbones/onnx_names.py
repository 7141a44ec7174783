"""Names of the weights of a vision transformer that an export to ONNX left without one.

An exporter transposes the weights of linear layers, and folds what does not depend on the image.
Both lose their names, and what stands around them tells which they are: a linear layer by its
bias, or by the place of its node; tokens by being joined to the patches; positions by being added.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Nodes that pass on the values of their first input, in another shape.
_PASSED_ON = frozenset(
    {"Identity", "Cast", "Reshape", "Flatten", "Transpose", "Resize", "Slice", "Expand"}
    | {"Squeeze", "Unsqueeze"}
)
_SCOPES = "pkg.torch.onnx.name_scopes"
# Names of a patch embedding, and those of CLS token, registers and positions beside it.
_EMBEDDINGS = (
    ("patch_embed.proj.weight", ("cls_token", "reg_token", "pos_embed")),
    *(
        (
            f"embeddings.{patches}.weight",
            (
                "embeddings.cls_token",
                "embeddings.register_tokens",
                "embeddings.position_embeddings",
            ),
        )
        for patches in ("patch_embeddings.projection", "patch_embeddings")
    ),
    (
        "embeddings.patch_embedding.weight",
        ("embeddings.class_embedding", "", "embeddings.position_embedding.weight"),
    ),
)


@dataclass(frozen=True)
class Constant:
    """A tensor in a graph.

    Attributes:
        name: of the tensor, from the network or made up by the exporter.
        shape: as the file says.
        read: gives the numbers.
        initializer: a weight by its place in the file; `False` for a number inside a node.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[], Tensor]
    initializer: bool = True


class _Graph:
    """Nodes and constants of an export, by the names of what they give."""

    def __init__(self, nodes: Sequence[Any], constants: Iterable[Constant]) -> None:
        self.nodes = nodes
        self.constants = {constant.name: constant for constant in constants}
        self.maker = {output: node for node in nodes for output in node.output}
        self.users: dict[str, list[Any]] = {}
        for node in nodes:
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def constant(self, name: str, through: frozenset[str]) -> Constant | None:
        """The constant whose values arrive as `name`, past nodes of these kinds."""
        for _ in range(len(self.nodes) + 1):  # a file may well hold a circle
            if name in self.constants:
                return self.constants[name]
            node = self.maker.get(name)
            if node is None or node.op_type not in through or not node.input:
                return None
            name = node.input[0]
        return None

    def split(self, node: Any) -> tuple[list[Constant], list[str]]:
        """Inputs of a node that are constants, in whatever shape, and the names of the others."""
        found = {name: self.constant(name, _PASSED_ON) for name in node.input if name}
        return [c for c in found.values() if c], [name for name, c in found.items() if not c]


def name_weights(nodes: Sequence[Any], constants: Iterable[Constant]) -> dict[str, Tensor]:
    """Weights of an exported network under the names that they had in it.

    Args:
        nodes: of the graph, as `onnx` has them; what is no weight keeps the exporter's name.

    Raises `ValueError` where two different tensors have the same name.
    """
    graph = _Graph(nodes, constants)
    named = {c.name: c.read() for c in graph.constants.values() if c.initializer}
    # Equal weights are stored once, and the others are said to be the same.
    for node in nodes:
        if node.op_type == "Identity" and node.output and node.input:
            same = graph.constant(node.input[0], frozenset({"Identity"}))
            if same is not None:
                named.setdefault(node.output[0], same.read())
    known, used = frozenset(named), set()
    for name, constant, transposed in _linear_weights(graph):
        if name not in known:
            if name in named:
                raise ValueError(f"two linear layers are called {name!r}")
            value = constant.read()
            named[name] = value.T.contiguous() if transposed else value
            used.add(constant.name)
    tokens, sources = _embeddings(graph, named)
    used |= sources
    return tokens | {name: value for name, value in named.items() if name not in used}


def _linear_weights(graph: _Graph) -> Iterator[tuple[str, Constant, bool]]:
    """Name of every linear layer, its weight, and whether that is stored as `[in, out]`."""
    for node in graph.nodes:
        if node.op_type not in ("MatMul", "Gemm") or len(node.input) < 2:
            continue
        weight = graph.constant(node.input[1], frozenset({"Identity", "Cast"}))
        name = _layer(graph, node) if weight is not None and len(weight.shape) == 2 else ""
        if weight is not None and name:
            stored = node.op_type == "Gemm" and _attribute(node, "transB") == 1
            yield f"{name}.weight", weight, not stored


def _layer(graph: _Graph, node: Any) -> str:
    """The layer of a product: the name of the bias that is added next, or the node's own place."""
    added = [node] if node.op_type == "Gemm" else graph.users.get(node.output[0], ())
    for user in added:
        for name in user.input if user.op_type in ("Add", "Gemm") else ():
            bias = graph.constant(name, frozenset({"Identity", "Cast"}))
            if bias is not None and len(bias.shape) == 1 and name.endswith(".bias"):
                return name.removesuffix(".bias")
    return _place(node)


def _place(node: Any) -> str:
    """The module in whose forward pass a node was made, as either exporter of torch writes it."""
    scopes = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "")
    if scopes:
        try:
            path = ast.literal_eval(scopes)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return ""
        return str(path[-2]) if isinstance(path, list) and len(path) > 1 else ""
    return ".".join(node.name.split("/")[1:-1]) if node.name.startswith("/") else ""


def _attribute(node: Any, name: str) -> int:
    return next((a.i for a in node.attribute if a.name == name), 0)


def _embeddings(graph: _Graph, named: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], set[str]]:
    """Tokens beside the one patch embedding that have no name, and the constants they were in."""
    beside = [
        (key.removesuffix(end), names, len(named[key]))
        for key in named
        for end, names in _EMBEDDINGS
        if key.endswith(end) and named[key].ndim == 4
    ]
    if len(beside) != 1:  # of several networks, nothing tells whose tokens they are
        return {}, set()
    prefix, names, channels = beside[0]
    found = zip(names, _tokens(graph, channels), strict=True)
    tokens = {prefix + name: parts for name, parts in found if name and parts}
    tokens = {name: parts for name, parts in tokens.items() if name not in named}
    used = {part.name for parts in tokens.values() for part in parts}
    return {
        name: torch.cat([_as_rows(part, channels) for part in parts], dim=1)
        for name, parts in tokens.items()
    }, used


def _tokens(graph: _Graph, channels: int) -> tuple[list[Constant], list[Constant], list[Constant]]:
    """Constants that make up the CLS token, the registers and the positions; empty: not found."""
    cls: list[Constant] = []
    registers: list[Constant] = []
    positions: list[Constant] = []
    for node in graph.nodes:
        if node.op_type not in ("Concat", "Add"):
            continue
        constants, others = graph.split(node)
        if not constants or not all(_fits(c, channels) for c in constants):
            continue
        if node.op_type == "Concat" and others:
            cls = cls or [c for c in constants if _rows(c) == 1]
            registers = registers or [c for c in constants if _rows(c) > 1]
        elif node.op_type == "Concat" or (others and _rows(constants[0]) > 1):
            positions = positions or constants
    return cls, registers, positions


def _fits(constant: Constant, channels: int) -> bool:
    """True if it can be tokens `[1, N, D]`, or a grid of them, transposed or not."""
    shape = constant.shape
    return len(shape) in (3, 4) and shape[0] == 1 and channels in (shape[-1], shape[-3])


def _rows(constant: Constant) -> int:
    return math.prod(constant.shape[1:]) // constant.shape[-1]


def _as_rows(constant: Constant, channels: int) -> Tensor:
    """Tokens `[1, N, D]` of a constant that fits."""
    value = constant.read()
    if value.ndim == 4 and value.shape[1] == channels:
        return value.flatten(2).transpose(1, 2)
    return value.reshape(1, -1, channels)
