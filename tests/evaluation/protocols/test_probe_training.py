"""Training of heads: the loss, SGD, several heads at once, resuming, batches and augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from leopart_kit.data import load_dataset
from leopart_kit.evaluation.protocols.probes.batches import (
    ProbeBatch,
    augmented_batches,
    epoch_order,
    small_targets,
    stored_batches,
)
from leopart_kit.evaluation.protocols.probes.settings import ProbeSettings
from leopart_kit.evaluation.protocols.probes.training import fit_heads, head_loss
from leopart_kit.evaluation.segmentation_heads import FcnHead, LinearHead
from leopart_kit.evaluation.task import RunSettings, Task
from tests.evaluation.tiny_data import COLOURS, SIDE, MeanColour, encoder_of, write_folder

DIM, CLASSES = 5, 3


def batches_of(num_batches: int = 3, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    made = [
        ProbeBatch(
            torch.randn(2, DIM, 4, 4, generator=generator),
            torch.randint(0, CLASSES, (2, 6, 6), generator=generator),
        )
        for _ in range(num_batches)
    ]

    def epoch(number: int) -> Iterator[ProbeBatch]:
        return (made[i] for i in epoch_order(num_batches, 0, number))

    return epoch


def test_the_loss_is_the_mean_over_labelled_pixels():
    logits = torch.tensor([[[[2.0]], [[0.0]]]])  # one pixel, two classes, enlarged to 1 x 2
    targets = torch.tensor([[[1, 255]]])
    expected = np.log1p(np.exp(2.0))  # -log softmax of class 1
    assert float(head_loss(logits, targets)) == pytest.approx(expected, rel=1e-6)
    assert float(head_loss(logits, torch.full((1, 1, 2), 255))) == 0


def test_the_loss_and_its_gradient_are_those_of_the_papers_order_of_steps():
    """Logits enlarged, then the mean cross entropy over the pixels that count."""
    targets = torch.randint(0, CLASSES, (2, 9, 7))
    targets[0, :4] = 255
    logits = torch.randn(2, CLASSES, 4, 5, requires_grad=True)
    enlarged = F.interpolate(logits, size=(9, 7), mode="bilinear")
    expected = F.cross_entropy(enlarged, targets, ignore_index=255)
    [gradient] = torch.autograd.grad(expected, logits)
    found = head_loss(logits, targets)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, logits)[0], gradient)


def test_one_step_of_sgd_by_hand(tmp_path: Path):
    settings = ProbeSettings(epochs=2, drop_at=1, momentum=0.9, weight_decay=0.1)
    tokens, targets = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, dtype=torch.int64)
    head = LinearHead(1, 2)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)

    def epoch(_: int) -> Iterator[ProbeBatch]:
        yield ProbeBatch(tokens, targets)

    [trained] = fit_heads([head], [1.0], epoch, settings, seed=0, checkpoint=tmp_path / "c.pt")
    # Step 1: the gradient of weight and bias is p - y = (-0.5, 0.5); both move to (0.5, -0.5).
    # Step 2, a tenth of the rate: logits (1, -1), p of class 1 is 1 / (1 + e^2); the decay adds
    # 0.1 w, the momentum 0.9 of step 1.
    p = 1 / (1 + np.exp(2))
    velocity = 0.9 * -0.5 + (-p + 0.1 * 0.5)
    expected = 0.5 - 0.1 * velocity
    for parameter in trained.parameters():  # weight and bias: the input is 1
        assert parameter.ravel().tolist() == pytest.approx([expected, -expected])


def new_heads() -> list[nn.Module]:
    torch.manual_seed(3)
    return [
        FcnHead(DIM, CLASSES, channels=4, dropout=0.0),
        FcnHead(DIM, CLASSES, channels=4, dropout=0.0, input_size=(6, 6)),
    ]


def state_of(heads: list[nn.Module]) -> list[Tensor]:
    return [value for head in heads for value in head.state_dict().values()]


def test_heads_that_share_batches_are_those_trained_alone(tmp_path: Path):
    settings = ProbeSettings(epochs=3)
    together = fit_heads(
        new_heads(), [0.1, 0.3], batches_of(), settings, seed=0, checkpoint=tmp_path / "c.pt"
    )
    alone = [
        fit_heads(
            [head], [rate], batches_of(), settings, seed=0, checkpoint=tmp_path / f"{rate}.pt"
        )[0]
        for head, rate in zip(new_heads(), [0.1, 0.3], strict=True)
    ]
    for one, other in zip(state_of(together), state_of(alone), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(state_of(together)[0], state_of(new_heads())[0])


def test_a_broken_off_training_goes_on_to_the_same_heads(tmp_path: Path):
    settings = ProbeSettings(epochs=4, drop_at=2)

    def train(batches, name: str) -> list[nn.Module]:
        torch.manual_seed(1)
        head = FcnHead(DIM, CLASSES, channels=8, dropout=0.5)
        return fit_heads([head], [0.1], batches, settings, seed=7, checkpoint=tmp_path / name)

    whole = train(batches_of(), "whole.pt")

    def breaks_off(number: int) -> Iterator[ProbeBatch]:
        for index, batch in enumerate(batches_of()(number)):
            if (number, index) == (2, 1):
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        train(breaks_off, "parts.pt")
    kept = torch.load(tmp_path / "parts.pt", weights_only=True)
    for name in kept:
        for value in (None, "x", -1, [], [None], [{}], {"x": 1}, [{"score": 1, "state": {}}]):
            if (name, value) == ("best", [None]):
                continue
            torch.save({**kept, name: value}, tmp_path / "damaged.pt")
            with pytest.raises(ValueError, match=r"damaged\.pt"):
                train(batches_of(), "damaged.pt")
    (tmp_path / "damaged.pt").unlink()
    seen: list[int] = []

    def counted(number: int) -> Iterator[ProbeBatch]:
        seen.append(number)
        return batches_of()(number)

    resumed = train(counted, "parts.pt")
    assert seen == [2, 3]
    for one, other in zip(state_of(whole), state_of(resumed), strict=True):
        assert torch.equal(one, other)
    assert not list(tmp_path.iterdir()), "checkpoints of finished heads are gone"


def test_the_best_epoch_is_kept_where_epochs_are_rated(tmp_path: Path):
    rates = iter([5.0, 9.0, 9.0, 1.0])
    states: list[Tensor] = []

    def rate(head: nn.Module) -> float:
        assert not head.training
        states.append(state_of([head])[0].clone())
        return next(rates)

    [kept] = fit_heads(
        [LinearHead(DIM, CLASSES)],
        [0.1],
        batches_of(),
        ProbeSettings(epochs=4),
        seed=0,
        checkpoint=tmp_path / "c.pt",
        rate=rate,
    )
    assert torch.equal(state_of([kept])[0], states[1]), "the first of the best"


def test_the_best_epoch_outlives_a_broken_off_training(tmp_path: Path):
    def train(rates: list[float], name: str) -> LinearHead:
        left = iter(rates)

        def rate(_: nn.Module) -> float:
            score = next(left, None)
            if score is None:
                raise KeyboardInterrupt
            return score

        torch.manual_seed(2)
        [head] = fit_heads(
            [LinearHead(DIM, CLASSES)],
            [0.1],
            batches_of(),
            ProbeSettings(epochs=4),
            seed=0,
            checkpoint=tmp_path / name,
            rate=rate,
        )
        return head

    whole = train([1.0, 9.0, 3.0, 2.0], "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        train([1.0, 9.0, 3.0], "parts.pt")
    resumed = train([2.0], "parts.pt")
    for one, other in zip(state_of([whole]), state_of([resumed]), strict=True):
        assert torch.equal(one, other)


def test_enlarging_and_a_linear_layer_commute():
    head, tokens = LinearHead(7, 4), torch.randn(2, 7, 5, 6)
    with torch.no_grad():
        before = head(F.interpolate(tokens, size=(23, 11), mode="bilinear"))
        after = F.interpolate(head(tokens), size=(23, 11), mode="bilinear")
    torch.testing.assert_close(before, after, rtol=1e-5, atol=1e-6)


def test_the_fcn_head_is_its_formula():
    head = FcnHead(DIM, CLASSES, channels=4, dropout=0.1, input_size=(8, 8)).eval()
    tokens = torch.randn(1, DIM, 4, 4)
    state = head.state_dict()

    def conv(x: Tensor, name: str, padding: int) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    x = F.interpolate(tokens, size=(8, 8), mode="bilinear")
    y = conv(conv(x, "convs.0", 1).relu(), "convs.2", 1).relu()
    z = conv(torch.cat([x, y], dim=1), "join", 1).relu()
    torch.testing.assert_close(head(tokens), conv(z, "classify", 0))


def test_every_image_comes_once_an_epoch_in_an_order_of_its_own(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 7)
    store = Task(encoder_of(MeanColour()), dataset, range(7), RunSettings(), tmp_path).features(
        (32, 32)
    )
    targets = small_targets(dataset, store.indices.tolist(), (32, 32), (4, 4))
    epoch = stored_batches(store, targets, np.array([0, 2, 3, 6]), 3, seed=1)
    orders = []
    for number in (0, 1, 0):
        found = list(epoch(number))
        assert [len(batch.targets) for batch in found] == [3, 1], "no batch is dropped"
        tokens = torch.cat([batch.tokens for batch in found])
        masks = torch.cat([batch.targets for batch in found])
        colours = torch.from_numpy(COLOURS)[masks].permute(0, 3, 1, 2) / 255
        torch.testing.assert_close(tokens, colours, rtol=0, atol=2e-3)  # fp16 on disk
        orders.append(masks[:, 0, 0].tolist())
    assert orders[0] == orders[2]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted([0, 2, 3, 2])


def test_augmented_masks_follow_their_images(tmp_path: Path):
    write_folder(tmp_path / "data", 6)
    for index in range(6):  # four quarters: a crop or a mirror image of the image alone shows
        ids = np.repeat(np.repeat(np.roll([[0, 1], [2, 3]], index), SIDE // 2, 0), SIDE // 2, 1)
        Image.fromarray(COLOURS[ids]).save(tmp_path / "data" / "images" / f"im{index:02d}.png")
        Image.fromarray(ids.astype(np.uint8)).save(
            tmp_path / "data" / "masks" / f"im{index:02d}.png"
        )
    dataset = load_dataset("folder", tmp_path / "data", "all")

    def batches():
        return augmented_batches(
            encoder_of(MeanColour()),
            dataset,
            range(6),
            resolution=(32, 32),
            size=(32, 32),
            crop_scale=(0.3, 0.8),
            batch_size=4,
            seed=0,
        )

    first = list(batches()(0))
    assert sum(len(batch.targets) for batch in first) == 6
    for tokens, targets in first:
        # A patch of one class has the colour of the class, wherever the crop took it from.
        classes = F.one_hot(targets, 4).permute(0, 3, 1, 2).float()
        share = F.avg_pool2d(classes, 8)
        pure = share.amax(dim=1) == 1
        colours = torch.from_numpy(COLOURS)[share.argmax(dim=1)].permute(0, 3, 1, 2) / 255
        difference = (tokens - colours).abs().amax(dim=1)
        assert pure.any()
        assert float(difference[pure].max()) < 0.1  # interpolation bleeds over the edge
    again, other = list(batches()(0)), list(batches()(1))
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(a.tokens, b.tokens) for a, b in zip(first, other, strict=True))
