"""CLIP: find the caption of an image among those of the batch, and the image of a caption.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesWith
from leopart_kit.image_level.data import OfImage, ViewSettings, read_captions
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings, kinds
from leopart_kit.image_level.networks.caption_tokenizer import SMALLEST_VOCABULARY, CaptionTokenizer
from leopart_kit.image_level.networks.text_encoder import TextEncoder
from leopart_kit.losses import batch_info_nce
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.outside_graphs import outside_graphs
from leopart_kit.methods.world import process_group
from leopart_kit.settings import Count, NotNegative, PathText, settings

_FIRST_TEMPERATURE, _LARGEST_SCALE = 0.07, 100.0


class CLIP(Method):
    """Image encoder and text encoder, each with a linear projection, and a learned temperature.

    The tokenizer is part of the state, so that a checkpoint can be asked about texts.

    Args:
        encoder: trained in place.
        tokenizer: of the captions.
        settings: the method's numbers.
    """

    def __init__(
        self, encoder: Encoder, tokenizer: CaptionTokenizer, settings: CLIPSettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.tokenizer = tokenizer
        self.encoder = encoder
        self.text = TextEncoder(
            settings.vocabulary_size,
            settings.text_length,
            settings.text_dim,
            settings.text_depth,
            settings.text_heads,
        )
        self.image_projection = nn.Linear(encoder.embed_dim, settings.out_dim, bias=False)
        self.text_projection = nn.Linear(settings.text_dim, settings.out_dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(_FIRST_TEMPERATURE)))

    def embed_images(self, images: Tensor) -> Tensor:
        """Normalised images `[B, 3, s, s]` → `[B, E]` of length 1."""
        return F.normalize(self.image_projection(self.encoder.cls_token(images)), dim=1)

    def embed_texts(self, captions: Sequence[str]) -> Tensor:
        """Texts → `[B, E]` of length 1."""
        texts = self.text(self._tokens(captions))
        return F.normalize(self.text_projection(texts), dim=1)

    @outside_graphs  # words are no tensors
    def _tokens(self, captions: Sequence[str]) -> Tensor:
        tokens = self.tokenizer.encode(captions, self.settings.text_length)
        return tokens.to(self.log_scale.device, non_blocking=True)

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is `(views, captions)`, one view `[B, 3, s, s]`."""
        (images,), captions = batch
        image, text = self.embed_images(images), self.embed_texts(captions)
        temperature = (-self.log_scale).exp()
        group = process_group()
        loss = 0.5 * (
            batch_info_nce(image, text, temperature, group)
            + batch_info_nce(text, image, temperature, group)
        )
        right = (image @ text.T).argmax(dim=1) == torch.arange(len(image), device=image.device)
        return StepOutput(
            loss, {"temperature": temperature.detach(), "accuracy": right.float().mean()}
        )

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.settings.learning_rate)

    def before_step(self, step: int) -> None:
        """Cosines are scaled by 100 at most (section 2.5)."""
        self.log_scale.clamp_(max=math.log(_LARGEST_SCALE))

    def get_extra_state(self) -> str:
        """The tokenizer."""
        return self.tokenizer.to_json()

    def set_extra_state(self, state: str) -> None:
        """See `get_extra_state`."""
        self.tokenizer = CaptionTokenizer.from_json(state)


@settings
class CLIPSettings(ImageMethodSettings):
    """Settings of CLIP, whose tokenizer is learned from the captions."""

    num_views: ClassVar[int | None] = 1

    captions: PathText = Field(kw_only=True)
    """CSV with the columns image (path below dataset.root) and caption."""
    learning_rate: NotNegative = 5e-4
    vocabulary_size: Annotated[int, Field(ge=SMALLEST_VOCABULARY)] = 4096
    """Places for tokens, of which the captions fill at most so many; the paper: 49,152."""
    text_length: Annotated[int, Field(ge=3)] = 77
    """Of the longest text in tokens, its two marks included; longer ones are cut off."""
    text_dim: Count = 512
    """Channels of the text transformer; a multiple of its heads."""
    text_depth: Count = 12
    """Blocks of the text transformer."""
    text_heads: Count = 8
    """Heads of its attention."""
    out_dim: Count = 512
    """Of the space in which image and text meet."""
    views: dict[str, ViewSettings] = kinds(
        # Texts may say left and right.
        image=ViewSettings(scale=(0.9, 1.0), flip_probability=0.0)
    )
    training: TrainingDefaults = TrainingDefaults(
        epochs=32, weight_decay=0.2, final_weight_decay=0.2
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`; raises as `read_captions`."""
        views = self.random_views(parts)
        captions = read_captions(self.captions, parts.dataset)
        tokenizer = CaptionTokenizer.train(captions.texts, self.vocabulary_size)
        method = CLIP(parts.encoder, tokenizer, self)
        pairs = ImagesWith(parts.dataset, captions.texts, captions.indices)
        return Built(method, pairs, OfImage(views))


PART = CLIPSettings
