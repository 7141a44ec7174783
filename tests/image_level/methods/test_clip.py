"""CLIP: the tokenizer keeps texts, the text encoder reads them in order, pairs find each other."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from leopart_kit.image_level.methods.clip import CLIP, CLIPSettings
from leopart_kit.image_level.networks.caption_tokenizer import (
    END,
    PADDING,
    SMALLEST_VOCABULARY,
    START,
    CaptionTokenizer,
)
from leopart_kit.image_level.networks.text_encoder import TextEncoder
from tests.image_level.tiny_networks import normalised_images
from tests.methods.tiny_clusterer import tiny_vit

CAPTIONS = ["a photo of a cat", "a photo of a dog", "two dogs asleep", "ein Kätzchen im Gras"]
SMALL = CLIPSettings(
    captions="captions.csv",
    learning_rate=3e-3,
    vocabulary_size=300,
    text_length=20,
    text_dim=16,
    text_depth=1,
    text_heads=2,
    out_dim=8,
)


@pytest.fixture(scope="module")
def tokenizer() -> CaptionTokenizer:
    return CaptionTokenizer.train(CAPTIONS, 300)


@pytest.mark.parametrize("text", [*CAPTIONS, "Unseen WORDS, 数字 and 🐈!", ""])
def test_a_text_comes_back_in_lower_case(tokenizer: CaptionTokenizer, text: str):
    tokens = tokenizer.encode([text], 77)
    assert tokenizer.decode(tokens) == [text.lower()]
    row = tokens[0].tolist()
    assert row[0] == START
    assert row.count(END) == 1
    assert set(row[row.index(END) + 1 :]) <= {PADDING}


def test_frequent_words_are_single_tokens(tokenizer: CaptionTokenizer):
    known, unknown = (int((tokenizer.encode([t], 77) > END).sum()) for t in (" photo", " zebra"))
    assert known == 1
    assert unknown == 6


def test_a_long_text_is_cut_and_still_ends(tokenizer: CaptionTokenizer):
    row = tokenizer.encode(["x" * 50], 10)[0].tolist()
    assert len(row) == 10
    assert (row[0], row[-1]) == (START, END)
    assert PADDING not in row


def test_the_tokenizer_survives_as_text(tokenizer: CaptionTokenizer):
    copy = CaptionTokenizer.from_json(tokenizer.to_json())
    assert torch.equal(copy.encode(CAPTIONS, 20), tokenizer.encode(CAPTIONS, 20))
    again = CaptionTokenizer.train(CAPTIONS, 300)
    assert again.to_json() == tokenizer.to_json()


def test_the_text_encoder_reads_up_to_the_end_mark_and_in_order():
    torch.manual_seed(0)
    encoder = TextEncoder(10, 6, dim=8, depth=2, num_heads=2).eval()
    rows = torch.tensor([[1, 5, 6, 2, 0, 0], [1, 6, 5, 2, 0, 0], [1, 5, 6, 2, 9, 9]])
    first, swapped, other_padding = encoder(rows)
    assert not torch.allclose(first, swapped)
    torch.testing.assert_close(first, other_padding)


def test_the_loss_is_the_mean_of_both_directions(tokenizer: CaptionTokenizer):
    torch.manual_seed(0)
    method = CLIP(tiny_vit(), tokenizer, SMALL).eval()
    images = normalised_images(4)
    output = method(([images], CAPTIONS), 0)
    logits = method.embed_images(images) @ method.embed_texts(CAPTIONS).T / 0.07
    labels = torch.arange(4)
    expected = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    torch.testing.assert_close(output.loss, expected)
    assert float(output.logs["temperature"]) == pytest.approx(0.07)
    output.loss.backward()
    assert method.log_scale.grad is not None
    assert all(p.grad is not None for p in method.parameters())


def test_images_learn_to_find_their_captions(tokenizer: CaptionTokenizer):
    torch.manual_seed(0)
    method = CLIP(tiny_vit(), tokenizer, SMALL).train()
    groups = [{"params": g.parameters, "lr": g.learning_rate} for g in method.parameter_groups()]
    optimizer = torch.optim.Adam(groups)
    images = normalised_images(4)
    losses = []
    for step in range(30):
        loss = method(([images], CAPTIONS), step).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    right = (method.embed_images(images) @ method.embed_texts(CAPTIONS).T).argmax(dim=1)
    assert right.tolist() == [0, 1, 2, 3]


def test_the_scale_is_held_below_100(tokenizer: CaptionTokenizer):
    method = CLIP(tiny_vit(), tokenizer, SMALL)
    with torch.no_grad():
        method.log_scale.fill_(9.0)
        method.before_step(0)
    assert method.log_scale.exp().item() == pytest.approx(100)
    assert math.isfinite(method(([normalised_images(4)], CAPTIONS), 0).loss.item())


def test_a_checkpoint_brings_its_tokenizer(tokenizer: CaptionTokenizer):
    method = CLIP(tiny_vit(), tokenizer, SMALL)
    other = CLIP(tiny_vit(), CaptionTokenizer.train(["zebra zebra zebra"], 300), SMALL)
    assert not torch.equal(other.tokenizer.encode(CAPTIONS, 20), tokenizer.encode(CAPTIONS, 20))
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.tokenizer.encode(CAPTIONS, 20), tokenizer.encode(CAPTIONS, 20))


def test_bad_input(tokenizer: CaptionTokenizer):
    with pytest.raises(ValueError, match=f"at least {SMALLEST_VOCABULARY}"):
        CaptionTokenizer.train(CAPTIONS, 100)
    with pytest.raises(ValueError, match="needs 3 places"):
        tokenizer.encode(CAPTIONS, 2)
    with pytest.raises(ValueError, match="text_dim"):
        TextEncoder(10, 6, dim=10, num_heads=4)
