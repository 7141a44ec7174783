"""Backbones: the Encoder contract, the zoo of named encoders and the reading of checkpoints."""

from __future__ import annotations

from leopart_kit.backbones.checkpoints import CheckpointReport, read_checkpoint
from leopart_kit.backbones.encoder import Encoder
from leopart_kit.backbones.load import EncoderLike, as_encoder, load_encoder
from leopart_kit.backbones.zoo import list_encoders

__all__ = [
    "CheckpointReport",
    "Encoder",
    "EncoderLike",
    "as_encoder",
    "list_encoders",
    "load_encoder",
    "read_checkpoint",
]
