"""Entry points of `torch.hub`: `torch.hub.load("OWNER/REPOSITORY", "dino_vits16")`.

Every name of `leopart_kit.list_encoders()` is one; options are those of `leopart_kit.load_encoder`.
"""

from functools import partial

from leopart_kit import list_encoders
from leopart_kit import load_encoder as encoder

dependencies = ["torch", "torchvision", "timm", "scipy", "pydantic", "safetensors"]

globals().update({name: partial(encoder, name) for name in list_encoders()})
