"""AlexNet as the literature on self-supervision probes it: batch norm, a tap after every layer."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from leopart_kit.backbones.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, Triple, pad_to_grid
from leopart_kit.backbones.precision import Precision, autocast_to, check_precision

STRIDE = 16

# Channels, kernel, stride of each convolution.
_LAYERS = ((96, 11, 4), (256, 5, 1), (384, 3, 1), (384, 3, 1), (256, 3, 1))
_POOLED = (1, 2)  # layers that a pooling with stride 2 follows


class AlexNetConvolutions(nn.Module):
    """The five convolutions, `conv1` … `conv5` with `bn1` … `bn5`."""

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for index, (out, kernel, stride) in enumerate(_LAYERS, start=1):
            padding = 0 if stride > 1 else kernel // 2
            conv = nn.Conv2d(channels, out, kernel, stride, padding, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            self.add_module(f"conv{index}", conv)
            self.add_module(f"bn{index}", nn.BatchNorm2d(out))
            channels = out

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """`[B, 3, H, W]` → the rectified output of each layer, before its pooling."""
        features = {}
        x = F.pad(images, (3, 4, 3, 4))
        for index in range(1, len(_LAYERS) + 1):
            x = F.relu(self.get_submodule(f"bn{index}")(self.get_submodule(f"conv{index}")(x)))
            features[f"conv{index}"] = x
            if index in _POOLED:
                x = F.max_pool2d(x, 3, 2, padding=1)
        return features


class AlexNetEncoder(Encoder):
    """Tokens of 16 px from the fifth convolution, `D = 256`; the fully connected layers left out.

    Layer sizes are those of the probes of RotNet, DeepCluster and SeLa (96, 256, 384, 384, 256
    channels, one tower, batch norm, no local response normalisation). The borders are padded so
    that every layer's grid divides the image evenly, where the original loses some pixels.

    Source: Krizhevsky et al. 2012; Caron et al. (DeepCluster), ECCV 2018, section 3.4.
    """

    def __init__(
        self,
        *,
        name: str = "alexnet",
        mean: Triple = IMAGENET_MEAN,
        std: Triple = IMAGENET_STD,
        precision: Precision = "fp32",
        weights: str = "none",
    ) -> None:
        check_precision(precision)
        super().__init__(
            name=name,
            embed_dim=_LAYERS[-1][0],
            patch_size=STRIDE,
            mean=mean,
            std=std,
            weights=weights,
            settings={"precision": precision},
        )
        self.precision: Precision = precision
        self.convolutions = AlexNetConvolutions()

    def patch_tokens(self, images: Tensor) -> Tensor:
        """See `Encoder.patch_tokens`."""
        return self._layers(images)["conv5"].float()

    def layer_features(self, images: Tensor) -> dict[str, Tensor]:
        """See `Encoder.layer_features`: `conv1` to `conv5`."""
        return {name: value.float() for name, value in self._layers(images).items()}

    def _layers(self, images: Tensor) -> dict[str, Tensor]:
        images = pad_to_grid(images, self.patch_size)
        with autocast_to(self.precision, images.device):
            return self.convolutions(images)
