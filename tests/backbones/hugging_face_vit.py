"""A small vision transformer with the names of transformers, to be exported with a decoder."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, DEPTH, HEADS, PATCH, SIDE = 192, 4, 3, 8, 8  # the network that `vitmini8` names


def _module(**parts: nn.Module) -> Any:
    module = nn.Module()
    for name, part in parts.items():
        module.add_module(name, part)
    return module


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        projections = {name: nn.Linear(WIDTH, WIDTH) for name in ("query", "key", "value")}
        self.attention = _module(
            attention=_module(**projections), output=_module(dense=nn.Linear(WIDTH, WIDTH))
        )
        self.layernorm_before = nn.LayerNorm(WIDTH, eps=1e-6)
        self.layernorm_after = nn.LayerNorm(WIDTH, eps=1e-6)
        self.intermediate = _module(dense=nn.Linear(WIDTH, 4 * WIDTH))
        self.output = _module(dense=nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        projections, normed = self.attention.attention, self.layernorm_before(x)
        query, key, value = (
            getattr(projections, name)(normed).reshape(len(x), -1, HEADS, 64).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = x + self.attention.output.dense(mixed)
        return x + self.output.dense(F.gelu(self.intermediate.dense(self.layernorm_after(x))))


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        patches = _module(projection=nn.Conv2d(3, WIDTH, PATCH, PATCH))
        self.embeddings = _module(patch_embeddings=patches)
        self.embeddings.cls_token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.embeddings.position_embeddings = nn.Parameter(torch.randn(1, 1 + SIDE**2, WIDTH))
        self.encoder = _module(layer=nn.ModuleList(Layer() for _ in range(DEPTH)))
        self.layernorm = nn.LayerNorm(WIDTH, eps=1e-6)

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Resized wherever that is said, as transformers does, also to the size that it has."""
        first, rest = self.embeddings.position_embeddings.split([1, SIDE**2], dim=1)
        grid = rest.reshape(1, SIDE, SIDE, WIDTH).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
        return torch.cat([first, grid.permute(0, 2, 3, 1).reshape(1, -1, WIDTH)], dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.embeddings.patch_embeddings.projection(pixels)
        tokens = torch.cat(
            [
                self.embeddings.cls_token.expand(len(pixels), -1, -1),
                patches.flatten(2).transpose(1, 2),
            ],
            dim=1,
        )
        x = tokens + self._positions(*patches.shape[-2:])
        for layer in self.encoder.layer:
            x = layer(x)
        return self.layernorm(x)


class Saliency(nn.Module):
    """The backbone with a decoder on top; returns the tokens, too.

    With ``equal_norms``, the layer norms are as they were made: exporters store equal tensors once.
    """

    def __init__(self, equal_norms: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = Backbone()
        for module in () if equal_norms else self.modules():
            if isinstance(module, nn.LayerNorm):
                nn.init.normal_(module.weight, 1, 0.1)
                nn.init.normal_(module.bias, 0, 0.1)
        self.decoder = nn.Linear(WIDTH, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.backbone(pixels)
        return self.decoder(tokens), tokens
