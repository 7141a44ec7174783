"""What networks of users return: the patch tokens of those that are known, one line for others."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder

IMAGES = torch.randn(2, 3, 8, 20, generator=torch.Generator().manual_seed(0))
MAP = nn.functional.avg_pool2d(IMAGES, 4)
SEQUENCE = MAP.flatten(2).transpose(1, 2)


def behind(count: int, tokens: Tensor = SEQUENCE) -> Tensor:
    """Tokens with so many others before them."""
    return torch.cat([torch.full((2, count, tokens.shape[2]), 9.0), tokens], dim=1)


class ModelOutput(OrderedDict):
    """As transformers has it: a dictionary whose entries are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


DINOV2 = {
    "x_norm_clstoken": torch.zeros(2, 3),
    "x_norm_regtokens": torch.zeros(2, 4, 3),
    "x_norm_patchtokens": SEQUENCE,
    "x_prenorm": behind(5),
    "masks": None,
}
UNDERSTOOD = {
    "map": MAP,
    "sequence": SEQUENCE,
    "DINOv2": DINOV2,
    "one key": {"x_norm_patchtokens": MAP},
    **{
        f"{count} before the patches": ModelOutput(last_hidden_state=behind(count), pooler_output=1)
        for count in (0, 1, 2, 5, 9)
    },
    "a plain dictionary": {"last_hidden_state": behind(1)},
    "an object": SimpleNamespace(last_hidden_state=behind(5)),
    "a convolutional network": ModelOutput(last_hidden_state=MAP),
}


@pytest.mark.parametrize("kind", UNDERSTOOD)
def test_patches_are_found_and_nothing_else_leaks(kind: str):
    encoder = Encoder.from_module(lambda _: UNDERSTOOD[kind], 4, 3)
    torch.testing.assert_close(encoder.patch_tokens(IMAGES), MAP)


Pair = namedtuple("Pair", "tokens cls")
OTHERS: dict[str, tuple[Any, str]] = {
    "tuple": ((SEQUENCE, SEQUENCE), "tuple"),
    "named tuple": (Pair(SEQUENCE, SEQUENCE), "Pair"),
    "list": ([SEQUENCE], "list"),
    "dictionary": ({"features": SEQUENCE, "pooled": 1}, "dict with the keys features, pooled"),
    "model output": (ModelOutput(logits=SEQUENCE), "ModelOutput with the keys logits"),
    "empty": ({}, "dict"),
    "object": (SimpleNamespace(tokens=SEQUENCE), "SimpleNamespace"),
    "nothing": (None, "NoneType"),
    "array": (SEQUENCE.numpy(), "ndarray"),
    "no tensor inside": ({"x_norm_patchtokens": None}, "dict"),
    "cls": (behind(1), r"\[2, 11, 3\]"),
    "cls in DINOv2": ({"x_norm_patchtokens": behind(1)}, r"\[2, 11, 3\]"),
    "other patches": (ModelOutput(last_hidden_state=behind(4)), "14 tokens for 10 patches"),
    "too few": (ModelOutput(last_hidden_state=SEQUENCE[:, 1:]), "9 tokens for 10 patches"),
    "turned": (MAP.transpose(2, 3), r"\[2, 3, 5, 2\]"),
    "one image": (MAP[:1], r"\[1, 3, 2, 5\]"),
    "whole numbers": (MAP.long(), "int64"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_not_understood_is_named(kind: str):
    output, what = OTHERS[kind]
    encoder = Encoder.from_module(lambda _: output, 4, 3)
    with pytest.raises(ValueError, match=what) as caught:
        encoder.patch_tokens(IMAGES)
    assert "\n" not in str(caught.value)
    assert encoder.name in str(caught.value)


def test_a_mistake_inside_the_network_keeps_its_own_words():
    def broken(_: Tensor) -> Tensor:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        Encoder.from_module(broken, 4, 3).patch_tokens(IMAGES)
