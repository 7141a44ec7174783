"""A small causal transformer over the tokens of a caption."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leopart_kit.image_level.networks.caption_tokenizer import END


class TextEncoder(nn.Module):
    """One vector a text: the last block's output at the end mark.

    Args:
        vocabulary_size: of the tokenizer.
        length: of the longest text in tokens, marks included.
        dim, depth, num_heads: of the blocks.

    Source: Radford et al. (CLIP), ICML 2021, section 2.4 (512, 12, 8).
    """

    def __init__(
        self, vocabulary_size: int, length: int, dim: int = 512, depth: int = 12, num_heads: int = 8
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"text_dim {dim} must be a multiple of text_heads {num_heads}")
        self.tokens = nn.Embedding(vocabulary_size, dim)
        self.positions = nn.Parameter(0.01 * torch.randn(length, dim))
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, num_heads, 4 * dim, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens int64 `[B, length]`, each row with one end mark → `[B, dim]`."""
        length = tokens.shape[1]
        later = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        x = self.tokens(tokens) + self.positions[:length]
        for block in self.blocks:
            x = block(x, src_mask=later)
        ends = (tokens == END).int().argmax(dim=1)
        return self.norm(x[torch.arange(len(x), device=x.device), ends])
