"""A linear head that learns on tokens of mean 0 and deviation 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leopart_kit.evaluation.segmentation_heads import LinearHead


class NormalizedHead(nn.Module):
    """Batch norm and one 1 × 1 convolution, tokens `[B, D, h, w]` → logits `[B, C, h, w]`."""

    def __init__(self, embed_dim: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(embed_dim)
        self.classify = nn.Conv2d(embed_dim, num_classes, 1)
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.zeros_(self.classify.bias)  # type: ignore[arg-type]

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits on the grid of the tokens."""
        return self.classify(self.norm(tokens))

    @torch.no_grad()
    def folded(self) -> LinearHead:
        """The same function as one linear layer: at test, batch norm is a scale and a shift."""
        norm, weight = self.norm, self.classify.weight
        mean, variance = (norm.get_buffer(f"running_{name}") for name in ("mean", "var"))
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        shift = norm.bias - mean * scale
        head = LinearHead(weight.shape[1], weight.shape[0])
        head.classify.weight.copy_(weight * scale[None, :, None, None])
        bias = self.classify.get_parameter("bias") + weight[:, :, 0, 0] @ shift
        head.classify.get_parameter("bias").copy_(bias)
        return head.eval()
