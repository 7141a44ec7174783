"""A backbone with a linear classifier on its image vector."""

from __future__ import annotations

from torch import Tensor, nn

from leopart_kit.backbones import Encoder


class ImageClassifier(nn.Module):
    """Image vector → batch normalisation without scale → linear layer.

    The normalisation makes one learning rate suit backbones whose vectors differ in size by orders
    of magnitude. The linear layer starts at 0: every class is as likely as any other.

    Args:
        backbone: trained with the rest unless frozen.
        num_classes: of the classifier.
    """

    def __init__(self, backbone: Encoder, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.norm = nn.BatchNorm1d(backbone.embed_dim, affine=False)
        self.linear = nn.Linear(backbone.embed_dim, num_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images `[B, 3, H, W]` → logits `[B, C]`."""
        return self.linear(self.norm(self.backbone.cls_token(images)))
