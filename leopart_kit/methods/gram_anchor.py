"""A regulariser of methods with a teacher: an image's patches stay as alike as they were."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.losses import gram_anchoring
from leopart_kit.methods.building import MethodSettings
from leopart_kit.settings import Count, NotNegative, settings


@settings
class GramSettings(MethodSettings):
    """Settings of Gram anchoring (Siméoni et al., DINOv3, 2025, section 4.2)."""

    gram_weight: NotNegative = 0.0
    """Of Gram anchoring: the similarities between the patches of a view stay those of a teacher; 0
    for none, 2 in DINOv3."""
    gram_teacher: Literal["start", "ema"] = "start"
    """Whose similarities: start, the encoder as it was; ema, the method's own teacher, at no cost;
    with momentum 1 that is the start."""
    gram_renew_every: Count | None = None
    """Steps after which the method's teacher replaces the start; null: never; 10,000 in DINOv3."""
    gram_scale: Count = 1
    """The start sees the view enlarged by this factor, and its tokens are reduced; 2 in DINOv3."""

    def __post_init__(self) -> None:
        if self.gram_teacher == "ema" and (self.gram_renew_every or self.gram_scale > 1):
            raise ValueError(
                "gram_renew_every and gram_scale are of gram_teacher=start: with ema the tokens of "
                "the method's own teacher are taken as they are"
            )

    def gram_anchor(self, encoder: Encoder) -> GramAnchor | None:
        """The regulariser of a method that starts from `encoder`; None without one."""
        return GramAnchor(self, encoder) if self.gram_weight else None


class GramAnchor(nn.Module):
    """Gram anchoring of a student's tokens to those of a frozen encoder.

    The encoder is in the state dict, so that a resumed run has the one that it was broken off with.

    Args:
        settings: weight, teacher, and when it is renewed.
        encoder: the start, of which a copy is kept.
    """

    def __init__(self, settings: GramSettings, encoder: Encoder) -> None:
        super().__init__()
        self.settings = settings
        self.encoder: Encoder | None = None
        if settings.gram_teacher == "start":
            self.encoder = copy.deepcopy(encoder).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> GramAnchor:
        """The encoder stays in eval mode."""
        super().train(False)
        return self

    def forward(
        self, tokens: Sequence[Tensor], views: Sequence[Tensor], taught: Tensor | None = None
    ) -> Tensor:
        """The weighted term, a scalar.

        Args:
            tokens: the student's, `[B, D, h, w]` of each view, the global ones first.
            views: `[B, 3, H, W]`, in the same order; those of the first one's size are anchored.
            taught: `[G · B, D, h, w]`, tokens of the method's teacher for the first G of these.
        """
        alike = [v for v, view in enumerate(views) if view.shape == views[0].shape]
        if self.encoder is None:
            if taught is None:
                raise ValueError("gram_teacher=ema: this method has no such teacher; use start")
            theirs = taught
        else:
            theirs = self._start(self.encoder, torch.cat([views[v] for v in alike]))
        ours = torch.cat([tokens[v] for v in alike[: len(theirs) // len(tokens[0])]])
        rows = (maps.flatten(2).transpose(1, 2) for maps in (ours, theirs))
        return self.settings.gram_weight * gram_anchoring(*rows)  # pyright: ignore

    @torch.no_grad()
    def _start(self, encoder: Encoder, views: Tensor) -> Tensor:
        scale = self.settings.gram_scale
        if scale == 1:
            return encoder.patch_tokens(views)
        height, width = (side // encoder.patch_size for side in views.shape[-2:])
        large = F.interpolate(views, scale_factor=float(scale), mode="bicubic")
        tokens = encoder.patch_tokens(large)
        return F.interpolate(tokens, size=(height, width), mode="bicubic", antialias=True)

    def renew(self, step: int, encoder: Encoder) -> None:
        """Take the weights of another encoder, before the steps that ask for it."""
        every = self.settings.gram_renew_every
        if self.encoder is not None and every is not None and step and step % every == 0:
            self.encoder.load_state_dict(encoder.state_dict())
