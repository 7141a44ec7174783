"""From a vector to an image: the decoder of the methods that reconstruct pixels."""

from __future__ import annotations

from torch import Tensor, nn

_LARGEST_START = 7


class ImageDecoder(nn.Module):
    """A linear layer to a small grid, then transposed convolutions that double it up to the image.

    Args:
        in_dim: of the vectors.
        image_size: side of the images in pixels, a number up to 7 times a power of two.
        width: channels of the smallest grid; they halve with each doubling, down to 16.

    Raises:
        ValueError: another image size.

    Source: Pathak et al. (context encoders), CVPR 2016, section 3.1.
    """

    def __init__(self, in_dim: int, image_size: int, width: int = 256) -> None:
        super().__init__()
        start, doublings = image_size, 0
        while start > _LARGEST_START and start % 2 == 0:
            start, doublings = start // 2, doublings + 1
        if start > _LARGEST_START:
            raise ValueError(
                f"views of {image_size} px cannot be decoded: the side must be a number up to "
                f"{_LARGEST_START} times a power of two, such as 32, 64, 96, 128 or 224"
            )
        self.grid = (width, start, start)
        self.expand = nn.Linear(in_dim, width * start * start)
        layers: list[nn.Module] = [nn.BatchNorm2d(width), nn.ReLU()]
        for _ in range(doublings):
            narrower = max(width // 2, 16)
            layers += [
                nn.ConvTranspose2d(width, narrower, 4, 2, 1, bias=False),
                nn.BatchNorm2d(narrower),
                nn.ReLU(),
            ]
            width = narrower
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, vectors: Tensor) -> Tensor:
        """`[B, in_dim]` → `[B, 3, image_size, image_size]`, in normalised colours."""
        return self.layers(self.expand(vectors).unflatten(1, self.grid))
