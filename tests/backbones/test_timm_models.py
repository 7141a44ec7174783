# timm modules are untyped: tests reach into them by attribute.
# pyright: reportAttributeAccessIssue=false

"""One model of every architecture file of timm: its own tokens, or one line with the way out."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from leopart_kit.backbones import load_encoder

_SIZES = ("test", "atto", "femto", "pico", "nano", "xxs", "xxtiny", "tiny", "ti", "xs", "mini")
_SIZES = (*_SIZES, "xsmall", "small", "s", "base", "b")


def smallest(module: str) -> str:
    """The model whose name says that it is the smallest; the shortest name where none does."""

    def rank(name: str) -> tuple[int, int]:
        words = name.split("_")
        size = next((i for i, word in enumerate(_SIZES) if word in words), len(_SIZES))
        return size, len(name)

    return min(timm.list_models(module=module), key=rank)


@pytest.mark.parametrize("module", [m for m in timm.list_modules() if timm.list_models(module=m)])
def test_tokens_are_those_of_timm_or_the_way_out_is_named(module: str):
    name = smallest(module)
    try:
        encoder = load_encoder(name, "random")
    except ValueError as error:
        message = str(error)
    else:
        message = ""
        vit: Any = encoder.vit
        for parameter in vit.parameters():  # far from where a block passes its input on
            torch.nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.1)
        images = torch.randn(1, 3, 3 * encoder.patch_size, 2 * encoder.patch_size)
        with torch.inference_mode():
            expected = vit.forward_features(images)[:, vit.num_prefix_tokens :]
            tokens = encoder.patch_tokens(images).flatten(2).transpose(1, 2)
        torch.testing.assert_close(tokens, expected, rtol=1e-3, atol=1e-3)
    assert not message or (name in message and "encoder=custom" in message)
    assert "\n" not in message
