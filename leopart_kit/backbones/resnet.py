"""Residual networks as encoders: those trained here, and Leopart's dilated baselines."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import resnet50

from leopart_kit.backbones.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, Triple, pad_to_grid
from leopart_kit.backbones.precision import Precision, autocast_to, check_precision

_DILATED_STAGES = {16: [False, False, True], 8: [False, True, True]}


class ResNetEncoder(Encoder):
    """Features of a ResNet after its last stage; there is no CLS token and no attention.

    Args:
        resnet: with torchvision's names, see `residual_network`.
        patch_size: stride of the whole network.
        name, embed_dim, mean, std, weights: see `Encoder`.
        precision: `bf16` runs the network under autocast; tokens are float32 all the same.
    """

    def __init__(
        self,
        resnet: nn.Module,
        *,
        name: str,
        embed_dim: int,
        patch_size: int,
        mean: Triple = IMAGENET_MEAN,
        std: Triple = IMAGENET_STD,
        precision: Precision = "fp32",
        weights: str = "none",
    ) -> None:
        check_precision(precision)
        super().__init__(
            name=name,
            embed_dim=embed_dim,
            patch_size=patch_size,
            mean=mean,
            std=std,
            weights=weights,
            settings={"precision": precision},
        )
        self.precision: Precision = precision
        self.resnet = resnet

    def patch_tokens(self, images: Tensor) -> Tensor:
        """See `Encoder.patch_tokens`."""
        return self._layers(images)["layer4"].float()

    def layer_features(self, images: Tensor) -> dict[str, Tensor]:
        """See `Encoder.layer_features`: `stem` and `layer1` to `layer4`."""
        return {name: value.float() for name, value in self._layers(images).items()}

    def _layers(self, images: Tensor) -> dict[str, Tensor]:
        x = pad_to_grid(images, self.patch_size)
        net = self.resnet
        features: dict[str, Tensor] = {}
        with autocast_to(self.precision, x.device):
            x = net.maxpool(net.relu(net.bn1(net.conv1(x))))  # pyright: ignore[reportCallIssue]
            features["stem"] = x
            for name in ("layer1", "layer2", "layer3", "layer4"):
                x = features[name] = net.get_submodule(name)(x)
        return features


class DilatedResNet(ResNetEncoder):
    """torchvision's ResNet-50 with a dilated last stage, `D = 2048`.

    Stride 16, where the last stage is dilated in place of its stride, is what Leopart compares with
    (Ziegler and Asano 2022): 448 px give 28 × 28 tokens, as from a ViT with patches of 16. Stride 8
    dilates the last two stages.
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
        resnet = resnet50(replace_stride_with_dilation=_DILATED_STAGES[stride])
        del resnet.fc
        super().__init__(
            resnet,
            name=name,
            embed_dim=2048,
            patch_size=stride,
            mean=mean,
            std=std,
            precision=precision,
            weights=weights,
        )
