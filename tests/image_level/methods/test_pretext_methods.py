"""RotNet, context prediction, exemplar, autoencoder, context encoder: what each one's loss sees."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.image_level.data import PatchPair
from leopart_kit.image_level.methods.autoencoder import Autoencoder, AutoencoderSettings
from leopart_kit.image_level.methods.context_encoder import ContextEncoder, ContextEncoderSettings
from leopart_kit.image_level.methods.context_prediction import (
    ContextPrediction,
    ContextPredictionSettings,
)
from leopart_kit.image_level.methods.exemplar import Exemplar
from leopart_kit.image_level.methods.rotnet import RotNet, rotated_copies
from leopart_kit.image_level.networks.image_decoder import ImageDecoder
from tests.image_level.tiny_networks import normalised_images, tiny_resnet
from tests.methods.tiny_clusterer import tiny_vit


def test_labels_are_the_quarter_turns_of_the_images():
    images = normalised_images(3)
    copies, labels = rotated_copies(images)
    assert labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for index, (copy, label) in enumerate(zip(copies, labels, strict=True)):
        turned = images[index % 3]
        for _ in range(int(label)):
            turned = turned.transpose(1, 2).flip(1)  # one turn anticlockwise
        assert torch.equal(copy, turned)


def test_rotnet_s_loss_is_cross_entropy_over_the_four_turns():
    method = RotNet(tiny_vit())
    output = method([normalised_images(2)], 0)
    copies, labels = rotated_copies(normalised_images(2))
    scores = method.classifier(method.encoder.cls_token(copies))
    assert output.loss.item() == pytest.approx(F.cross_entropy(scores, labels).item())
    right = (scores.argmax(dim=1) == labels).float().mean().item()
    assert float(output.logs["accuracy"]) == pytest.approx(right)


def test_a_pair_is_classified_from_both_patches_in_order():
    method = ContextPrediction(tiny_vit(), ContextPredictionSettings(hidden_dim=8)).eval()
    first, second = normalised_images(2, 0), normalised_images(2, 1)
    scores = method.place_scores(first, second)
    assert scores.shape == (2, 8)
    features = torch.cat([method.encoder.cls_token(x) for x in (first, second)], dim=1)
    torch.testing.assert_close(scores, method.classifier(features))
    assert not torch.allclose(scores, method.place_scores(second, first))
    label = torch.tensor([0, 7])
    output = method(PatchPair(first, second, label), 0)  # type: ignore[arg-type]
    assert output.loss.item() == pytest.approx(F.cross_entropy(scores, label).item())


def test_every_view_of_an_image_has_its_number_as_its_class():
    method = Exemplar(tiny_vit(), num_images=9)
    views = [normalised_images(2, 0), normalised_images(2, 1)]
    indices = torch.tensor([5, 8])
    with torch.no_grad():
        method.classifier.weight.zero_()
        method.classifier.bias.zero_()
        method.classifier.bias[5] = 50.0
    # Of the four views two are of image 5, which has all the probability.
    output = method((views, indices), 0)
    assert float(output.logs["accuracy"]) == 0.5
    assert output.loss.item() == pytest.approx(25.0)


def test_the_autoencoder_reconstructs_through_its_code():
    method = Autoencoder(tiny_vit(), 32, AutoencoderSettings(code_dim=4, decoder_width=16))
    images = normalised_images(3)
    output = method([images], 0)
    error = (method.reconstruct(images) - images).square().mean()
    assert output.loss.item() == pytest.approx(error.item(), rel=1e-5)
    assert float(output.logs["error_over_variance"]) == pytest.approx(
        error.item() / images.var().item(), rel=1e-5
    )
    with torch.no_grad():
        method.code.weight.zero_()
    same = method.eval().reconstruct(images)
    assert torch.equal(same[0], same[1]), "nothing passes beside the code"


def test_the_context_encoder_neither_sees_nor_scores_what_it_should_not():
    method = ContextEncoder(tiny_vit(), 32, ContextEncoderSettings(decoder_width=16)).eval()
    images = normalised_images(2)
    hidden = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    hidden[0, :, 4:20, 8:24] = hidden[1, :, 16:, :16] = True
    painted = method.paint(images, hidden)
    other = torch.where(hidden, torch.full_like(images, 9.0), images)
    torch.testing.assert_close(method.paint(other, hidden), painted)
    loss = method((images, hidden), 0).loss
    region = hidden.expand_as(images)
    assert loss.item() == pytest.approx((painted - images)[region].square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("size", [32, 96, 224])
def test_the_decoder_gives_images_of_its_size(size: int):
    decoder = ImageDecoder(5, size, width=16)
    assert decoder(torch.randn(2, 5)).shape == (2, 3, size, size)


def test_a_size_that_cannot_be_decoded():
    with pytest.raises(ValueError, match="75 px"):
        ImageDecoder(5, 75)


def pair_batch() -> PatchPair:
    return PatchPair(normalised_images(8), normalised_images(8, 1), torch.arange(8))  # type: ignore[arg-type]


BATCHES = {
    "rotnet": lambda: [normalised_images(8)],
    "context_prediction": pair_batch,
    "exemplar": lambda: ([normalised_images(8)], torch.arange(8)),
    "autoencoder": lambda: [normalised_images(8)],
    "context_encoder": lambda: (
        normalised_images(8),
        torch.ones(8, 1, 32, 32, dtype=torch.bool).triu(),
    ),
}


@pytest.mark.parametrize("network", [tiny_vit, tiny_resnet])
@pytest.mark.parametrize("name", BATCHES)
def test_a_few_steps_lower_the_loss_and_reach_the_first_layer(name: str, network):
    torch.manual_seed(0)
    methods = {
        "rotnet": lambda: RotNet(network()),
        "context_prediction": lambda: ContextPrediction(
            network(), ContextPredictionSettings(hidden_dim=16)
        ),
        "exemplar": lambda: Exemplar(network(), num_images=8),
        "autoencoder": lambda: Autoencoder(network(), 32, AutoencoderSettings(decoder_width=16)),
        "context_encoder": lambda: ContextEncoder(
            network(), 32, ContextEncoderSettings(decoder_width=16)
        ),
    }
    method = methods[name]().train()
    first_layer: Tensor = next(method.encoder.parameters())
    before = first_layer.detach().clone()
    groups = [{"params": g.parameters, "lr": 3e-3} for g in method.parameter_groups()]
    optimizer = torch.optim.Adam(groups)
    losses = []
    for step in range(12):
        loss = method(BATCHES[name](), step).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert not torch.equal(first_layer, before)
