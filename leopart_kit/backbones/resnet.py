"""ResNet-50 with a dilated last stage: the convolutional baselines of Leopart."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torchvision.models import resnet50

from leopart_kit.backbones.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, Triple, pad_to_grid

Precision = Literal["fp32", "bf16"]

_DILATED_STAGES = {16: [False, False, True], 8: [False, True, True]}


class DilatedResNet(Encoder):
    """Features of torchvision's ResNet-50 after its last stage, ``D = 2048``.

    Stride 16, where the last stage is dilated in place of its stride, is what Leopart compares with
    (Ziegler and Asano 2022): 448 px give 28 × 28 tokens, as from a ViT with patches of 16. Stride 8
    dilates the last two stages. There is no CLS token and no attention.
    """

    def __init__(
        self,
        *,
        name: str,
        mean: Triple = IMAGENET_MEAN,
        std: Triple = IMAGENET_STD,
        stride: int = 16,
        precision: Precision = "fp32",
        weights: str = "none",
    ) -> None:
        if stride not in _DILATED_STAGES:
            raise ValueError(f"stride {stride}: a dilated ResNet-50 has stride 16 or 8")
        if precision not in ("fp32", "bf16"):
            raise ValueError(f"precision {precision!r}: choose fp32 or bf16")
        super().__init__(
            name=name,
            embed_dim=2048,
            patch_size=stride,
            mean=mean,
            std=std,
            weights=weights,
            settings={"precision": precision},
        )
        self.precision = precision
        self.resnet = resnet50(replace_stride_with_dilation=_DILATED_STAGES[stride])
        del self.resnet.fc

    def patch_tokens(self, images: Tensor) -> Tensor:
        """See :meth:`Encoder.patch_tokens`."""
        x = pad_to_grid(images, self.patch_size)
        net = self.resnet
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
            x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        return x.float()
