"""Vision transformers of timm as encoders: any image size, block, facet; CLS attention."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from leopart_kit.backbones.attention import (
    TimmModule,
    block_forward,
    cls_attention,
    is_open,
    project_heads,
)
from leopart_kit.backbones.encoder import Encoder, Triple, grid_size, no_attention, pad_to_grid
from leopart_kit.backbones.position_embedding import PositionRule, interpolate_position_embedding
from leopart_kit.backbones.precision import Precision, autocast_to, check_precision

Facet = Literal["token", "key", "query", "value"]

_MAX_CACHED_GRIDS = 16
_PREFIX_NAMES = ("cls_token", "dist_token", "reg_token")


class ViTEncoder(Encoder):
    """A timm `VisionTransformer` or `Eva` (DINOv3) behind the `Encoder` contract.

    Args:
        vit: the timm model; its classifier is not used.
        name, mean, std, weights: see `Encoder`.
        position_rule: how positional embeddings are resized, see `position_embedding`.
        block: which block's output is returned, counted from 0 or, negative, from the end. The
            final norm is applied to every block's tokens, as
            `get_intermediate_layers(norm=True)` of DINOv2 does: features of different blocks
            are then on one scale.
        facet: `token` (block output, after the final norm) or `key`, `query`, `value`: the
            projections inside that block's attention, heads concatenated, without norm or rotation
            (Amir et al. 2021, "Deep ViT Features as Dense Visual Descriptors").
        precision: `bf16` runs the blocks under autocast; tokens are returned in float32 all the
        same.
    """

    def __init__(
        self,
        vit: TimmModule,
        *,
        name: str,
        mean: Triple,
        std: Triple,
        position_rule: PositionRule = "antialias",
        weights: str = "none",
        block: int = -1,
        facet: Facet = "token",
        precision: Precision = "fp32",
    ) -> None:
        plain = isinstance(vit, (VisionTransformer, Eva))
        if not plain or type(vit.patch_embed) is not PatchEmbed:
            odd = f"a {type(vit.patch_embed).__name__} in it" if plain else type(vit).__name__
            raise ValueError(
                f"{name} is no plain vision transformer of timm ({odd}), whose patch tokens are "
                "known: wrap it with encoder=custom"
            )
        depth = len(vit.blocks)
        index = _check_choice(name, depth, block, facet, precision)
        super().__init__(
            name=name,
            embed_dim=_facet_dim(vit, index, facet),
            patch_size=_square_patch(name, vit),
            mean=mean,
            std=std,
            depth=depth,
            weights=weights,
            settings={
                "block": index,
                "facet": facet,
                "precision": precision,
                "position_rule": position_rule,
            },
        )
        self.vit: TimmModule = vit
        self.block = index
        self.facet: Facet = facet
        self.precision: Precision = precision
        self.position_rule: PositionRule = position_rule
        self._resized_from: Tensor | None = None
        self._resized: dict[tuple[int, int], Tensor] = {}

    def patch_tokens(self, images: Tensor) -> Tensor:
        """See `Encoder.patch_tokens`; the chosen block and facet."""
        tokens, _, grid = self._forward(images, attention=False)
        return self._patch_grid(tokens, grid)

    def cls_token(self, images: Tensor) -> Tensor:
        """CLS of the chosen block and facet, `[B, D]`; the mean of patches without one."""
        return self.cls_and_patches(images)[0]

    def cls_and_patches(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `Encoder.cls_and_patches`."""
        tokens, _, grid = self._forward(images, attention=False)
        cls = tokens[:, 0] if self.has_cls else tokens[:, self.num_prefix :].mean(dim=1)
        return cls, self._patch_grid(tokens, grid)

    def attention(self, images: Tensor) -> Tensor:
        """See `Encoder.attention`; always the last block, whatever `block` is."""
        return self.tokens_and_attention(images)[1]

    def tokens_and_attention(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Patch tokens `[B, D, h, w]` and CLS attention `[B, heads, h, w]` in one forward."""
        if not self.has_cls or not is_open(self.vit.blocks[-1]):
            raise no_attention(self.name)
        tokens, attention, grid = self._forward(images, attention=True)
        assert attention is not None
        attention = attention[:, :, self.num_prefix :].unflatten(2, grid)
        return self._patch_grid(tokens, grid), attention

    def layer_features(self, images: Tensor) -> dict[str, Tensor]:
        """See `Encoder.layer_features`: `block1`, …, each after the final norm.

        Whatever `block` and `facet` are, these are the tokens of all blocks.
        """
        images = pad_to_grid(images, self.patch_size)
        grid = grid_size(images.shape[-2], images.shape[-1], self.patch_size)
        features: dict[str, Tensor] = {}
        with autocast_to(self.precision, images.device):
            x, rope = self._embed(images, grid), self._rope(grid)
            for index in range(self.depth or 0):
                x = self._run_block(index, x, rope)
                tokens = self.vit.norm(x).float()
                features[f"block{index + 1}"] = self._patch_grid(tokens, grid)
        return features

    def visible_tokens(self, images: Tensor, visible: Tensor) -> Tensor:
        """The network run on a part of the patches of each image, as MAE trains it.

        Args:
            images: normalised `[B, 3, H, W]`.
            visible: int64 `[B, n]`, patches by row and column, `row * columns + column`.

        Returns:
            `[B, prefix + n, D]` after the final norm: CLS and registers, then the patches in the
            order of `visible`.

        Raises `ValueError` for rotary positions, which are given to all patches or to none.
        """
        images = pad_to_grid(images, self.patch_size)
        grid = grid_size(images.shape[-2], images.shape[-1], self.patch_size)
        if self._rope(grid) is not None:
            raise ValueError(f"{self.name} has rotary positions: it cannot be run on some patches")
        with autocast_to(self.precision, images.device):
            x = self._embed(images, grid)
            prefix, patches = x[:, : self.num_prefix], x[:, self.num_prefix :]
            rows = visible.unsqueeze(-1).expand(-1, -1, patches.shape[-1])
            x = torch.cat([prefix, patches.gather(1, rows)], dim=1)
            for index in range(self.depth or 0):
                x = self._run_block(index, x, None)
            x = self.vit.norm(x)
        return x.float()

    def masked_tokens(self, images: Tensor, mask: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        """The network run with some patches replaced by a token, as iBOT trains it.

        Args:
            images: normalised `[B, 3, H, W]`.
            mask: bool `[B, h, w]`, True for patches that are replaced.
            token: `[D]`; the position is added to it.

        Returns:
            CLS `[B, D]` and patches `[B, h · w, D]` of the last block, after the final norm.
        """
        images = pad_to_grid(images, self.patch_size)
        grid = grid_size(images.shape[-2], images.shape[-1], self.patch_size)
        with autocast_to(self.precision, images.device):
            x, rope = self._embed(images, grid, (mask, token)), self._rope(grid)
            for index in range(self.depth or 0):
                x = self._run_block(index, x, rope)
            x = self.vit.norm(x).float()
        return x[:, 0], x[:, self.num_prefix :]

    @property
    def saved_module(self) -> TimmModule:
        """The network of timm, in whose naming weights are saved."""
        return self.vit

    @property
    def num_prefix(self) -> int:
        """Tokens in front of the patches: CLS and registers."""
        return int(self.vit.num_prefix_tokens)

    @property
    def has_cls(self) -> bool:
        """True if there is a CLS token."""
        return getattr(self.vit, "cls_token", None) is not None

    def _patch_grid(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        return tokens[:, self.num_prefix :].transpose(1, 2).unflatten(2, grid)

    def _forward(
        self, images: Tensor, attention: bool
    ) -> tuple[Tensor, Tensor | None, tuple[int, int]]:
        """Tokens `[B, N, D]` of the chosen block and facet, attention `[B, heads, N]`, grid."""
        images = pad_to_grid(images, self.patch_size)
        grid = grid_size(images.shape[-2], images.shape[-1], self.patch_size)
        with autocast_to(self.precision, images.device):
            x = self._embed(images, grid)
            rope = self._rope(grid)
            tokens, heads = x, None
            for index in range(self.depth or 0) if attention else range(self.block + 1):
                block = self.vit.blocks[index]
                if index == self.block and self.facet != "token":
                    tokens = self._projection(block, x)
                    if not attention:
                        break
                if is_open(block):
                    x, q, k = block_forward(block, x, self._rope_of(index, rope))
                    heads = (q, k)
                else:
                    x = self._run_block(index, x, rope)
                if index == self.block and self.facet == "token":
                    tokens = x
            if self.facet == "token":
                tokens = self.vit.norm(tokens)
        cls = cls_attention(*heads) if attention and heads else None
        return tokens.float(), cls, grid

    def _embed(
        self,
        images: Tensor,
        grid: tuple[int, int],
        replaced: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        embed = self.vit.patch_embed
        x = embed.norm(embed.proj(images).flatten(2).transpose(1, 2))
        if replaced is not None:
            mask, token = replaced
            x = torch.where(mask.flatten(1).unsqueeze(-1), token.to(x.dtype), x)
        named = (getattr(self.vit, name, None) for name in _PREFIX_NAMES)
        prefix = [token.expand(len(x), -1, -1) for token in named if token is not None]
        position = self._positions(grid)
        if position is not None and self.vit.no_embed_class:
            x = x + position
        x = torch.cat([*prefix, x], dim=1) if prefix else x
        if position is not None and not self.vit.no_embed_class:
            x = x + position
        return self.vit.norm_pre(self.vit.pos_drop(x))

    def _positions(self, grid: tuple[int, int]) -> Tensor | None:
        """Positional embedding for a grid; kept per grid unless gradients must flow through it.

        On a GPU, and compiled, it is resized anew, which is quick: to know that the stored one is
        still the same, the host would have to wait.
        """
        stored = self.vit.pos_embed
        if stored is None:
            return None
        watched = stored.device.type == "cpu" and not torch.compiler.is_compiling()
        if (torch.is_grad_enabled() and stored.requires_grad) or not watched:
            return self._resize(stored, grid)
        source = self._resized_from
        if source is None or source.device != stored.device or not torch.equal(source, stored):
            self._resized_from, self._resized = stored.detach().clone(), {}
        if grid not in self._resized:
            if len(self._resized) == _MAX_CACHED_GRIDS:
                del self._resized[next(iter(self._resized))]
            self._resized[grid] = self._resize(stored.detach(), grid)
        return self._resized[grid]

    def _resize(self, stored: Tensor, grid: tuple[int, int]) -> Tensor:
        prefix = 0 if self.vit.no_embed_class else self.num_prefix
        old = tuple(self.vit.patch_embed.grid_size)
        return interpolate_position_embedding(stored, grid, self.position_rule, prefix, old)

    def _rope(self, grid: tuple[int, int]) -> Tensor | None:
        rope = getattr(self.vit, "rope", None)
        return None if rope is None else rope.get_embed(shape=list(grid))

    def _rope_of(self, index: int, rope: Tensor | None) -> Tensor | None:
        per_block = bool(getattr(self.vit, "rope_mixed", False))
        return rope[index] if rope is not None and per_block else rope

    def _run_block(self, index: int, x: Tensor, rope: Tensor | None) -> Tensor:
        block = self.vit.blocks[index]
        return block(x) if rope is None else block(x, rope=self._rope_of(index, rope))

    def _projection(self, block: TimmModule, x: Tensor) -> Tensor:
        q, k, v = project_heads(block.attn, block.norm1(x))
        return {"query": q, "key": k, "value": v}[self.facet].transpose(1, 2).flatten(2)


def _check_choice(name: str, depth: int, block: int, facet: str, precision: str) -> int:
    """Non-negative index of the chosen block; `ValueError` for a choice that does not exist."""
    if type(block) is not int or not -depth <= block < depth:
        raise ValueError(
            f"block {block!r}: {name} has {depth} blocks, choose -{depth} to {depth - 1}"
        )
    if facet not in get_args(Facet):
        raise ValueError(f"facet {facet!r}: choose one of {', '.join(get_args(Facet))}")
    check_precision(precision)
    return block % depth


def _facet_dim(vit: TimmModule, index: int, facet: str) -> int:
    if facet == "token":
        return int(vit.embed_dim)
    block = vit.blocks[index]
    if not is_open(block):
        raise ValueError(f"facet {facet!r}: not available in a {type(block).__name__}, use 'token'")
    return int(block.attn.num_heads * block.attn.head_dim)


def _square_patch(name: str, vit: TimmModule) -> int:
    kernel = tuple(vit.patch_embed.proj.kernel_size)
    if kernel[0] != kernel[1] or tuple(vit.patch_embed.proj.stride) != kernel:
        raise ValueError(
            f"{name} has patches of {kernel} px, and only square, separate ones work here: wrap it "
            "with encoder=custom"
        )
    return int(kernel[0])
