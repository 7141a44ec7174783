"""Trainings on the logical device, built from the command line as any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from lightning_fabric import Fabric
from lightning_fabric.accelerators.cpu import CPUAccelerator
from lightning_fabric.strategies.single_device import SingleDeviceStrategy

from leopart_kit.cli import run_parts
from leopart_kit.cli.train import main
from leopart_kit.training.step import OptimiserStep
from tests.cli.command import run_command_line
from tests.logical_device.device import DEVICE, Traffic, traffic


class LogicalAccelerator(CPUAccelerator):
    """Lets Fabric put networks and batches on the logical device."""

    def setup_device(self, device: Any) -> None:
        """Nothing is to be made ready."""


def logical_fabric(accelerator: str, precision: Any) -> Fabric:
    """In place of `build_fabric`."""
    strategy = SingleDeviceStrategy(DEVICE, LogicalAccelerator())
    fabric = Fabric(strategy=strategy, precision=precision)
    fabric.launch()
    return fabric


def train_on_device(arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> list[Traffic]:
    """Traffic of each optimiser step of `leopart train`."""
    steps: list[Traffic] = []
    own = OptimiserStep.__call__

    def watched(self: OptimiserStep, step: int, batches: Any) -> Any:
        with traffic() as seen:
            result = own(self, step, batches)
        steps.append(seen)
        return result

    monkeypatch.setattr(OptimiserStep, "__call__", watched)
    monkeypatch.setattr(run_parts, "build_fabric", logical_fabric)
    run_command_line(main, "leopart train", list(arguments))
    return steps
