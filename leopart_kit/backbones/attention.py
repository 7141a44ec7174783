"""Self-attention of timm blocks, opened up: queries, keys and values, and CLS attention."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from timm.layers.attention import Attention
from timm.layers.pos_embed_sincos import apply_rot_embed_cat
from timm.models.eva import EvaAttention, EvaBlock
from timm.models.vision_transformer import Block
from torch import Tensor

Heads = tuple[Tensor, Tensor, Tensor]
# timm chooses the parts of its modules at run time, which no static type describes
TimmModule = Any

_MOST_TOKENS_WITH_SCORES = 1100  # beyond 448 px with patches of 14, memory comes before speed


def is_open(block: TimmModule) -> bool:
    """True for a block that `block_forward` reproduces."""
    return type(block) in (Block, EvaBlock) and type(block.attn) in (Attention, EvaAttention)


def project_heads(attn: TimmModule, x: Tensor) -> Heads:
    """Queries, keys, values as projected, before norm and rotation: three `[B, heads, N, d]`."""
    batch, count, _ = x.shape
    if attn.qkv is None:
        parts = [attn.q_proj(x), attn.k_proj(x), attn.v_proj(x)]
        q, k, v = (p.view(batch, count, attn.num_heads, -1).transpose(1, 2) for p in parts)
        return q, k, v
    if isinstance(attn, EvaAttention) and attn.q_bias is not None:
        bias = torch.cat((attn.q_bias, cast(Tensor, attn.k_bias), cast(Tensor, attn.v_bias)))
        qkv = F.linear(x, attn.qkv.weight, bias)
    else:
        qkv = attn.qkv(x)
    q, k, v = qkv.view(batch, count, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    return q, k, v


def block_forward(
    block: TimmModule, x: Tensor, rope: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """One transformer block: `[B, N, D]` → its output, and its queries and keys.

    The same operations as timm's `Block` and `EvaBlock`; under autocast the residual stream and
    the norms stay in float32.
    """
    normed = block.norm1(x)
    q, k, v = _normed_rotated(block.attn, project_heads(block.attn, normed), rope)
    heads = _attend(q, k, v, block.attn.attn_drop.p if block.training else 0.0)
    update = _merge_heads(block.attn, normed, heads)
    x = x + block.drop_path1(_layer_scale(block, 1, update))
    x = x + block.drop_path2(_layer_scale(block, 2, block.mlp(block.norm2(x))))
    return x, q, k


def cls_attention(q: Tensor, k: Tensor) -> Tensor:
    """Softmax attention of the first token: two `[B, heads, N, d]` → `[B, heads, N]`, in float32.

    Also under the autocast of a training, so that its foreground is that of an evaluation.
    """
    with torch.autocast(q.device.type, enabled=False):
        q, k = q[:, :, :1].float(), k.float()
        return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1).squeeze(2)


def _normed_rotated(attn: TimmModule, heads: Heads, rope: Tensor | None) -> Heads:
    q, k, v = heads
    q, k = attn.q_norm(q), attn.k_norm(k)
    if rope is not None:
        q, k = (_rotate(attn, t, rope).type_as(v) for t in (q, k))
    return q, k, v


def _rotate(attn: TimmModule, x: Tensor, rope: Tensor) -> Tensor:
    prefix, patches = x[:, :, : attn.num_prefix_tokens], x[:, :, attn.num_prefix_tokens :]
    return torch.cat([prefix, apply_rot_embed_cat(patches, rope, half=attn.rotate_half)], dim=2)


def _attend(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    if q.dtype == torch.bfloat16 and q.device.type == "cpu":
        if not torch.is_grad_enabled() and not torch.cpu._is_amx_tile_supported():
            return _attend_by_head(q, k, v)
        if torch.is_grad_enabled() and dropout == 0 and q.shape[2] <= _MOST_TOKENS_WITH_SCORES:
            return _attend_with_scores(q, k, v)
    return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)


def _attend_with_scores(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention that keeps its scores: the fused kernel's bf16 backward takes far longer."""
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1) @ v


def _attend_by_head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention one head at a time: without AMX, 1.6 times faster than the fused bf16 kernel.

    Scores of one head stay in the cache; only the matrix products need bf16 hardware.
    """
    output = torch.empty_like(v, memory_format=torch.contiguous_format)
    for image in range(len(q)):
        queries = (q[image] * q.shape[-1] ** -0.5).contiguous()
        keys, values = k[image].contiguous().transpose(1, 2), v[image].contiguous()
        for head in range(len(queries)):
            scores = (queries[head] @ keys[head]).softmax(dim=-1)
            torch.mm(scores, values[head], out=output[image, head])
    return output


def _merge_heads(attn: TimmModule, x: Tensor, heads: Tensor) -> Tensor:
    merged = attn.norm(heads.transpose(1, 2).flatten(2))
    if attn.gate is not None:
        merged = merged * attn.gate(x).sigmoid()
    return attn.proj_drop(attn.proj(merged))


def _layer_scale(block: TimmModule, index: int, x: Tensor) -> Tensor:
    if isinstance(block, EvaBlock):
        gamma = getattr(block, f"gamma_{index}")
        return x if gamma is None else gamma * x
    return getattr(block, f"ls{index}")(x)
