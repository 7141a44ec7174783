"""Words to numbers: byte-level BPE learned from the captions themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

PADDING, START, END = 0, 1, 2
_SPECIAL = ["<padding>", "<start>", "<end>"]
SMALLEST_VOCABULARY = len(_SPECIAL) + 256


class CaptionTokenizer:
    """Byte pairs over lower-case text. Any text can be encoded, since all 256 bytes are tokens.

    Args:
        tokenizer: see `train` and `from_json`.

    Source: Sennrich et al., ACL 2016; Radford et al. (CLIP), ICML 2021, section 2.4.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def train(cls, captions: Iterable[str], vocabulary_size: int) -> CaptionTokenizer:
        """Learn up to `vocabulary_size` tokens, fewer where the captions hold no more.

        Raises:
            ValueError: a vocabulary too small for the single bytes.
        """
        if vocabulary_size < SMALLEST_VOCABULARY:
            raise ValueError(
                f"vocabulary_size must be at least {SMALLEST_VOCABULARY} (256 bytes and "
                f"{len(_SPECIAL)} marks), got {vocabulary_size}"
            )
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])  # pyright: ignore[reportAttributeAccessIssue]
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
        tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=_SPECIAL,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(captions, trainer)
        return cls(tokenizer)

    @classmethod
    def from_json(cls, text: str) -> CaptionTokenizer:
        """The inverse of `to_json`."""
        return cls(Tokenizer.from_str(text))

    def to_json(self) -> str:
        """All of it as text."""
        return self._tokenizer.to_str()

    def encode(self, captions: Sequence[str], length: int) -> Tensor:
        """Tokens int64 `[B, length]`: start, text, end, padding; a long text loses its end.

        Raises:
            ValueError: no room for a token between start and end.
        """
        if length < 3:
            raise ValueError(f"a caption needs 3 places or more, got length {length}")
        rows = torch.full((len(captions), length), PADDING, dtype=torch.int64)
        for row, encoding in zip(rows, self._tokenizer.encode_batch(list(captions)), strict=True):
            ids = [START, *encoding.ids[: length - 2], END]
            row[: len(ids)] = torch.tensor(ids)
        return rows

    def decode(self, tokens: Tensor) -> list[str]:
        """The lower-case texts of tokens `[B, length]`, without the marks."""
        return self._tokenizer.decode_batch(tokens.tolist(), skip_special_tokens=True)
