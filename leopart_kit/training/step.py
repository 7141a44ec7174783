"""One optimiser step of a method: hooks, accumulated gradients, clipping, update."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from leopart_kit.backbones.precision import tf32_products
from leopart_kit.data.unfinished_views import finish_views
from leopart_kit.methods.method import Method, StepOutput
from leopart_kit.training.samples import LoadedBatch
from leopart_kit.training.schedules import Schedules


class StepResult(NamedTuple):
    """Loss of the global batch, this process's logs, and the broken files of the batches."""

    loss: float
    logs: Mapping[str, Tensor | float]
    scheduled: Mapping[str, float]
    broken: tuple[str, ...]


class NotFinite(ArithmeticError):
    """The loss or the gradient norm is NaN or infinite; the weights are still as before."""


@dataclass
class OptimiserStep:
    """Takes optimiser steps of `method` on the batches it is given.

    module, optimizer: the method and its optimiser as set up by `fabric`, so that the forward
        pass runs under the precision and synchronises gradients.
    peak_rates: learning rate of each parameter group where the schedule is 1.
    """

    fabric: Fabric
    method: Method
    module: Any
    optimizer: Optimizer
    schedules: Schedules
    peak_rates: list[float]
    accumulate_steps: int
    clip_norm: float | None

    def __call__(self, step: int, batches: Iterator[LoadedBatch]) -> StepResult:
        """Step number `step`, from 0.

        Raises NotFinite before the optimiser has touched the weights.
        """
        with tf32_products(self.fabric.device):
            return self._take(step, batches)

    def _take(self, step: int, batches: Iterator[LoadedBatch]) -> StepResult:
        scheduled = self._apply_schedules(step)
        with torch.no_grad():
            self.method.before_step(step)
        for parameter in self.method.started_anew(step):
            self.optimizer.state.pop(parameter, None)
        outputs, broken = self._accumulate(step, batches)
        loss, norm = self._finite(self._global_loss(outputs), self._clip())
        self.optimizer.step()
        self.optimizer.zero_grad()
        momentum = self.schedules.momentum(step)
        with torch.no_grad():
            self.method.after_step(step, momentum)
        return StepResult(
            loss=loss,
            logs=_mean_logs(outputs),
            scheduled={**scheduled, "momentum": momentum, **norm},
            broken=broken,
        )

    def _apply_schedules(self, step: int) -> dict[str, float]:
        factor, decay = self.schedules.learning_rate(step), self.schedules.weight_decay(step)
        values = {"weight_decay": decay}
        for group, peak in zip(self.optimizer.param_groups, self.peak_rates, strict=True):
            group["lr"] = factor * peak
            group["weight_decay"] = decay if group["decayed"] else 0.0
            values[f"learning_rate/{group['name']}"] = group["lr"]
        return values

    def _accumulate(
        self, step: int, batches: Iterator[LoadedBatch]
    ) -> tuple[list[StepOutput], tuple[str, ...]]:
        outputs: list[StepOutput] = []
        broken: dict[str, None] = {}
        for part in range(self.accumulate_steps):
            batch = next(batches)
            broken.update(dict.fromkeys(batch.broken))
            data = finish_views(self.fabric.to_device(batch.data))
            last = part == self.accumulate_steps - 1
            with self.fabric.no_backward_sync(self.module, enabled=not last):
                output = cast(StepOutput, self.module(data, step))
                self.fabric.backward(output.loss / self.accumulate_steps)
            outputs.append(StepOutput(output.loss.detach(), output.logs))
        return outputs, tuple(broken)

    def _global_loss(self, outputs: list[StepOutput]) -> Tensor:
        mean = torch.stack([output.loss for output in outputs]).float().mean()
        return cast(Tensor, self.fabric.all_reduce(mean, reduce_op="mean"))

    def _clip(self) -> Tensor | None:
        """Norm of all gradients, if they are clipped."""
        if self.clip_norm is None:
            return None
        return self.fabric.clip_gradients(
            self.module, self.optimizer, max_norm=self.clip_norm, error_if_nonfinite=False
        )

    def _finite(self, loss: Tensor, norm: Tensor | None) -> tuple[float, dict[str, float]]:
        """Both as numbers, for which a GPU is waited for once.

        Raises NotFinite for one that is not finite.
        """
        both = [loss] if norm is None else [loss, norm.to(loss)]
        values = torch.stack(both).tolist()
        if not math.isfinite(values[0]):
            raise NotFinite(f"the loss is {values[0]}")
        if not math.isfinite(values[-1]):
            raise NotFinite(f"the norm of the gradients is {values[-1]}")
        return values[0], {"gradient_norm": values[1]} if norm is not None else {}


def _mean_logs(outputs: list[StepOutput]) -> dict[str, Tensor | float]:
    names = outputs[0].logs
    return {name: sum(output.logs[name] for output in outputs) / len(outputs) for name in names}
