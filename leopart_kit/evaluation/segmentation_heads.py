"""Heads that turn frozen patch tokens into classes: linear, and a small FCN; saved and reused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard, get_args

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from leopart_kit.backbones.tensor_file import write_tensors
from leopart_kit.backbones.weight_tensors import check_weights

HeadKind = Literal["linear", "fcn"]


class LinearHead(nn.Module):
    """One 1 × 1 convolution, tokens `[B, D, h, w]` → logits `[B, C, h, w]`.

    Convolving and enlarging commute here, since the bilinear weights of a pixel sum to one. Tokens
    enlarged to 100 × 100 and then convolved, as in the papers, give the same logits for ten times
    the work.
    """

    def __init__(self, embed_dim: int, num_classes: int) -> None:
        super().__init__()
        self.classify = nn.Conv2d(embed_dim, num_classes, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits on the grid of the tokens."""
        return self.classify(tokens)


class FcnHead(nn.Module):
    """Two 3 × 3 convolutions, their input beside their output, a third, dropout, 1 × 1 classes.

    Leopart (Ziegler & Asano, CVPR 2022, appendix), after Long, Shelhamer & Darrell (CVPR 2015); no
    normalisation, 512 channels, whole channels dropped.

    Args:
        input_size: `(h, w)` to which tokens are enlarged first; `None` leaves them as they are.
    """

    def __init__(
        self,
        embed_dim: int,
        num_classes: int,
        *,
        channels: int = 512,
        dropout: float = 0.1,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.convs = nn.Sequential(
            nn.Conv2d(embed_dim, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.join = nn.Conv2d(embed_dim + channels, channels, 3, padding=1)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(channels, num_classes, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[B, C, h, w]`, or of `input_size` where it is set."""
        if self.input_size is not None:
            tokens = F.interpolate(tokens, size=self.input_size, mode="bilinear")
        found = F.relu(self.join(torch.cat([tokens, self.convs(tokens)], dim=1)))
        return self.classify(self.dropout(found))


def save_head(head: LinearHead | FcnHead, path: Path, class_names: tuple[str, ...]) -> Path:
    """Write a head with all that is needed to use it again, as safetensors."""
    description: dict[str, object] = {
        "kind": "linear" if isinstance(head, LinearHead) else "fcn",
        "class_names": list(class_names),
    }
    if isinstance(head, FcnHead):
        description["input_size"] = head.input_size
    return write_tensors(head.state_dict(), path, {"head": json.dumps(description)})


def classes_of_head(path: Path) -> tuple[str, ...]:
    """Names of the classes that a head predicts; raises as `load_head`."""
    return _read(path)[0].class_names


def load_head(
    path: Path, kind: HeadKind, embed_dim: int, class_names: tuple[str, ...]
) -> LinearHead | FcnHead:
    """A head that `save_head` wrote, for tokens of `embed_dim` dimensions.

    Args:
        class_names: of the data set to predict; empty where it has none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no head, or one of another kind, other tokens or other classes.
    """
    description, state = _read(path)
    if description.kind != kind:
        raise ValueError(f"{path} is a {description.kind} head; set protocol accordingly")
    names = description.class_names
    if class_names and names != class_names:
        raise ValueError(
            f"{path} predicts {len(names)} classes ({', '.join(names[:3])}, …), the data set has "
            f"{len(class_names)} ({', '.join(class_names[:3])}, …); train a head on its train split"
        )
    first = state.get("classify.weight" if kind == "linear" else "convs.0.weight")
    if first is None or first.ndim != 4:
        raise ValueError(f"{path} is no head written by a probe: it lacks its first layer")
    if first.shape[1] != embed_dim:
        raise ValueError(
            f"{path} takes tokens of {first.shape[1]} dimensions, the encoder gives {embed_dim}; "
            "use the encoder it was trained on"
        )
    head = description.build(embed_dim, channels=first.shape[0])
    own = {key: value.shape for key, value in head.state_dict().items()}
    odd = [
        key
        for key in own.keys() | state.keys()
        if key not in state or state[key].shape != own.get(key)
    ]
    if odd:
        raise ValueError(
            f"{path} is no head written by a probe: {min(odd)} does not fit the others"
        )
    head.load_state_dict(state)
    return head.eval()


def _read(path: Path) -> tuple[_Description, dict[str, Tensor]]:
    if not path.is_file():
        raise FileNotFoundError(f"no head at {path}; a run with this protocol writes head_seed0 …")
    try:
        with safe_open(path, framework="pt") as file:
            description = _Description.parse((file.metadata() or {})["head"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        check_weights(state)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no head written by a probe: {error}") from error
    return description, state


@dataclass(frozen=True)
class _Description:
    """Facts about a head beside its weights."""

    kind: HeadKind
    class_names: tuple[str, ...]
    input_size: tuple[int, int] | None

    @staticmethod
    def parse(text: str) -> _Description:
        """Raises ValueError for a text that `save_head` did not write."""
        said = json.loads(text)
        said = said if isinstance(said, dict) else {}
        names, size = said.get("class_names"), said.get("input_size")
        if said.get("kind") not in get_args(HeadKind) or not _all(names, str):
            raise ValueError("its description is damaged")
        if size is not None and not (_all(size, int) and len(size) == 2 and min(size) > 0):
            raise ValueError("its description is damaged")
        return _Description(
            said["kind"], tuple(names), None if size is None else (size[0], size[1])
        )

    def build(self, embed_dim: int, channels: int) -> LinearHead | FcnHead:
        """The head with random weights."""
        count = len(self.class_names)
        if self.kind == "linear":
            return LinearHead(embed_dim, count)
        return FcnHead(embed_dim, count, channels=channels, input_size=self.input_size)


def _all(values: Any, kind: type) -> TypeGuard[list[Any]]:
    return isinstance(values, list) and all(type(value) is kind for value in values)
