"""The logical device itself: what it lets pass, what it refuses, and what it counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.logical_device.device import DEVICE, traffic


def on_device(*shape: int) -> Tensor:
    return torch.rand(*shape, device=DEVICE)


MIXED: dict[str, Callable[[Tensor, Tensor], object]] = {
    "a sum": lambda here, there: here + there,
    "a product": lambda here, there: here @ there.T,
    "a list": lambda here, there: torch.cat([here, there]),
    "in place": lambda here, there: here.add_(there),
    "a number in a list": lambda here, there: torch.stack([here[0, 0], there[0, 0]]),
    "a generator": lambda here, there: torch.rand(3, device=DEVICE, generator=torch.Generator()),
    "an array": lambda here, there: here.numpy(),
}
COUNTED: dict[str, tuple[Callable[[Tensor], object], int, int]] = {
    "a number": (lambda x: x[0, 0].item(), 1, 0),
    "a condition": (lambda x: bool((x > 0).all()), 1, 0),
    "a list of numbers": (lambda x: x.tolist(), 1, 0),
    "to the host": (lambda x: x.cpu(), 1, 0),
    "into a tensor of the host": (lambda x: torch.zeros(4, 5).copy_(x), 1, 0),
    "what a mask picks": (lambda x: x[x > 0.5], 1, 0),
    "places": (lambda x: (x > 0.5).nonzero(), 1, 0),
    "a row by a number on the device": (lambda x: x[x[:, 0].argmax()], 1, 0),
    "from the host": (lambda x: torch.zeros(4, 5).to(DEVICE), 0, 1),
    "from a list": (lambda x: torch.tensor([1.0, 2.0], device=DEVICE), 0, 1),
    "rows by a list": (lambda x: x[[0, 2]], 0, 1),
    "rows by indices of the host": (lambda x: x[torch.tensor([0, 2])], 0, 1),
    "from the host, not waited for": (lambda x: torch.zeros(4).to(DEVICE, non_blocking=True), 0, 0),
    "a number of the host": (lambda x: x * torch.tensor(2.0), 0, 0),
    "one value under a mask": (lambda x: x.__setitem__(x > 0.5, 0.0), 0, 0),
    "arithmetic": (lambda x: F.softmax(x @ x.T, dim=1).argmax(dim=1), 0, 0),
    "made there": (lambda x: torch.arange(4, device=DEVICE) + x.new_ones(4), 0, 0),
}


@pytest.mark.parametrize("case", MIXED)
def test_devices_do_not_mix(case: str):
    with pytest.raises((RuntimeError, TypeError)):
        MIXED[case](on_device(4, 5), torch.rand(4, 5))


@pytest.mark.parametrize("case", COUNTED)
def test_waits_and_copies_are_counted(case: str):
    work, syncs, copies = COUNTED[case]
    x = on_device(4, 5)
    with traffic() as seen:
        work(x)
    assert (len(seen.syncs), len(seen.copies)) == (syncs, copies), str(seen)


def test_a_network_trains_there_as_on_the_host():
    def train(device: str | torch.device) -> tuple[list[float], Tensor]:
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(8)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3), norm, nn.GELU(), nn.Flatten(1), nn.Linear(8 * 36, 3)
        ).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, fused=True)
        images, labels = torch.rand(4, 3, 8, 8).to(device), torch.arange(4).remainder(3).to(device)
        losses = []
        for _ in range(5):
            loss = F.cross_entropy(network(images), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        return losses, torch.as_tensor(norm.running_mean)

    (losses, means), (expected, expected_means) = train(DEVICE), train("cpu")
    assert losses == pytest.approx(expected, rel=1e-5)
    assert means.device == DEVICE
    torch.testing.assert_close(means.cpu(), expected_means)
