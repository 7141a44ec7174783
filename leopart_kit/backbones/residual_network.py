"""Residual networks of any width, for large images and for images of 32 px."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

Stem = Literal["imagenet", "cifar", "small"]

# Kernel and stride of the first convolution, and whether pooling follows.
_STEMS: dict[Stem, tuple[int, int, bool]] = {
    "imagenet": (7, 2, True),
    "cifar": (3, 1, False),
    "small": (3, 2, False),
}
_DEPTHS = {18: (BasicBlock, (2, 2, 2, 2)), 50: (Bottleneck, (3, 4, 6, 3))}


class ResidualNetwork(nn.Module):
    """ResNet-18 or ResNet-50 without its classifier, with torchvision's parameter names.

    Args:
        depth: 18 or 50.
        width: channels of the first stage; the others have 2, 4 and 8 times as many.
        stem: `imagenet` (7 × 7 with stride 2, then pooling), `cifar` (3 × 3 with stride 1, as
            is usual for 32 px since SimCLR, appendix B.9), or `small` (3 × 3 with stride 2, a
            quarter of the cost).

    Source: He et al. 2016, section 4.1.
    """

    def __init__(self, depth: int, width: int = 64, stem: Stem = "imagenet") -> None:
        super().__init__()
        block, counts = _DEPTHS[depth]
        kernel, stride, pooled = _STEMS[stem]
        self.conv1 = nn.Conv2d(3, width, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if pooled else nn.Identity()
        channels = width
        stages = []
        for index, count in enumerate(counts):
            out = width * 2**index
            stages.append(_stage(block, channels, out, count, stride=1 if index == 0 else 2))
            channels = out * block.expansion
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.embed_dim = channels
        self.stride = stride * (2 if pooled else 1) * 8
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """`[B, 3, H, W]` → `[B, embed_dim, H / stride, W / stride]`."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def _stage(
    block: type[BasicBlock] | type[Bottleneck], channels: int, out: int, count: int, stride: int
) -> nn.Sequential:
    wide = out * block.expansion
    shortcut = None
    if stride != 1 or channels != wide:
        shortcut = nn.Sequential(
            nn.Conv2d(channels, wide, 1, stride, bias=False), nn.BatchNorm2d(wide)
        )
    rest = [block(wide, out) for _ in range(count - 1)]
    return nn.Sequential(block(channels, out, stride, shortcut), *rest)
