"""The training loop: the same for every method, none of which it knows by name."""

from __future__ import annotations

import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from leopart_kit.identity import HOW_TRAINED, Identity, determining
from leopart_kit.methods.method import Method
from leopart_kit.peak_memory import peak_memory_mb, restart_peak
from leopart_kit.processes import notices_ended_processes
from leopart_kit.training.checkpoint import (
    CheckpointWriteError,
    checkpoint_path,
    checkpoint_to_resume,
    list_checkpoints,
    write_checkpoint,
)
from leopart_kit.training.loader import TrainingLoader
from leopart_kit.training.loggers import MakeLogger
from leopart_kit.training.metrics_log import MetricsLog
from leopart_kit.training.parameter_groups import adamw, check_parameter_groups
from leopart_kit.training.progress_bar import TrainingProgress, quiet_progress
from leopart_kit.training.randomness import derive_seed, seed_everything, unchanged_random_state
from leopart_kit.training.settings import TrainingSettings
from leopart_kit.training.state import RunState, capture_state, non_finite_entry, restore_state
from leopart_kit.training.step import NotFinite, OptimiserStep, StepResult
from leopart_kit.training.stopping import NonFiniteLoss, StopRequest, TrainingInterrupted

logger = logging.getLogger(__name__)

Evaluate = Callable[[Method, int], Mapping[str, float]]


@dataclass(frozen=True)
class TrainingSummary:
    """Summary of a finished run.

    steps: optimiser steps of the whole run, earlier parts included.
    checkpoint: the last one.
    broken_samples: what each skipped file of this process said, in the order they were met.
    images_per_second: over all processes, since this part of the run started; NaN if it had
        nothing left to do. Evaluations and checkpoints do not count.
    """

    steps: int
    checkpoint: Path
    broken_samples: tuple[str, ...]
    images_per_second: float


def train(
    method: Method,
    loader: TrainingLoader,
    settings: TrainingSettings,
    output_dir: Path,
    *,
    fabric: Fabric,
    make_optimizer: Callable[[list[dict[str, Any]]], Optimizer] = adamw,
    identity: Identity | None = None,
    loggers: Sequence[MakeLogger] = (),
    on_evaluate: Evaluate | None = None,
    progress: TrainingProgress = quiet_progress,
) -> TrainingSummary:
    """Train `method` in place for `settings.max_steps` optimiser steps.

    Everything goes to `output_dir`: `checkpoints/step_*.pt`, `metrics.jsonl`, and what
    the loggers write.
    On the CPU a resumed run of one or two processes with the same number of threads continues bit
    for bit (optimiser, schedules, the method's buffers and extra state, random generators, position
    in the data). Gradients of three and more are added in another order after a restart: the run is
    the same to rounding. Another number of processes goes on with the same images, see
    `other_processes`.

    fabric: launched, see `build_fabric`; loader: made for its rank and world size.
    make_optimizer: from dicts with `params` and `lr` of each group; learning rate and weight
        decay are set anew at each step.
    identity: all that the run follows from; checkpoints of another one are refused. By default
        what is known here: the method's name, the loader's numbers and `settings`.
    loggers: where else the curves go, see `find_loggers`.
    on_evaluate: called in every process with the method in eval mode and the number of finished
        steps, every `evaluate_every` steps and after the last, so that it can share the work, see
        `processes_of`. The figures of the first process are logged under "evaluation/". Whatever
        it draws at random does not change the training.

    Raises:
        TrainingInterrupted: after SIGTERM or SIGINT, once the step is done and saved.
        NonFiniteLoss: NaN or infinity in the loss, the clipped gradients or the weights.
        CheckpointWriteError: the disk is full; the previous checkpoint is intact.
        ProcessEnded: another process of the run has ended before its time.
        ValueError: nothing to train or load, or a checkpoint that does not fit.
    """
    if identity is None:
        identity = _known_identity(method, loader, settings)
    take_step, state = _set_up(method, loader, settings, identity, fabric, make_optimizer)
    checkpoints = output_dir / "checkpoints"
    resumed_from = _start_or_resume(state, settings, checkpoints, fabric)
    output_dir.mkdir(parents=True, exist_ok=True)
    run = _Run(settings, fabric, state, take_step, checkpoints, resumed_from, on_evaluate)
    images_per_step = _images_per_step(loader, settings)
    clock = _Clock(images_per_step)
    restart_peak()
    with notices_ended_processes(), ExitStack() as stack:
        if fabric.is_global_zero:
            run.metrics = stack.enter_context(
                MetricsLog(output_dir, state.step, loggers, identity.values)
            )
        stop = stack.enter_context(StopRequest())
        report = stack.enter_context(progress(state.step, settings.max_steps))
        first_batch = state.step * settings.accumulate_steps
        batches = stack.enter_context(closing(loader.batches(first_batch)))  # pyright: ignore
        while state.step < settings.max_steps:
            clock.start()
            result = run.step(batches)
            clock.stop()
            epoch = state.step * images_per_step / len(loader.samples)
            cost = {"images_per_second": clock.recent_rate, **_memory(fabric.device)}
            run.log(result, {"epoch": epoch, **cost})
            report(state.step, result.loss, clock.recent_rate)
            run.evaluate_if_due()
            run.save_if_due_or_asked(stop)
    checkpoint = cast(Path, run.last_checkpoint)  # the last step always writes one
    return TrainingSummary(state.step, checkpoint, tuple(state.broken), clock.mean_rate)


def _known_identity(method: Method, loader: TrainingLoader, settings: TrainingSettings) -> Identity:
    return Identity.of(
        method=type(method).__name__,
        **loader.position_settings(),
        trainer=determining(asdict(settings), HOW_TRAINED, "trainer."),
    )


def _images_per_step(loader: TrainingLoader, settings: TrainingSettings) -> int:
    return loader.batch_size * loader.world_size * settings.accumulate_steps


def _set_up(
    method: Method,
    loader: TrainingLoader,
    settings: TrainingSettings,
    identity: Identity,
    fabric: Fabric,
    make_optimizer: Callable[[list[dict[str, Any]]], Optimizer],
) -> tuple[OptimiserStep, RunState]:
    if (loader.rank, loader.world_size) != (fabric.global_rank, fabric.world_size):
        raise ValueError(
            f"the loader is for process {loader.rank} of {loader.world_size}, this is process "
            f"{fabric.global_rank} of {fabric.world_size}"
        )
    fabric.to_device(method)  # all of it: an evaluation may have moved the encoder before
    groups = method.parameter_groups()
    check_parameter_groups(method, groups)
    factor = settings.rate_factor(_images_per_step(loader, settings))
    rates = [factor * group.learning_rate for group in groups]
    optimizer = make_optimizer(
        [
            {"params": g.parameters, "lr": rate, "name": g.name, "decayed": g.decayed}
            for g, rate in zip(groups, rates, strict=True)
        ]
    )
    seed_everything(derive_seed(settings.seed, fabric.global_rank))
    method.train()
    forward = cast(Method, torch.compile(method)) if settings.compile else method
    module, wrapped = fabric.setup(forward, optimizer)
    take_step = OptimiserStep(
        fabric,
        method,
        module,
        wrapped,
        settings.schedules(),
        rates,
        settings.accumulate_steps,
        settings.clip_norm,
    )
    return take_step, RunState(method, optimizer, identity)


def _start_or_resume(
    state: RunState, settings: TrainingSettings, checkpoints: Path, fabric: Fabric
) -> Path | None:
    path = checkpoint_to_resume(checkpoints, settings.resume)
    path = fabric.broadcast(path)
    if path is None:
        return None
    restore_state(state, path, fabric, settings.seed)
    existing = list_checkpoints(checkpoints)
    if existing and existing[-1] > checkpoint_path(checkpoints, state.step):
        raise ValueError(
            f"cannot go on from step {state.step} in {checkpoints}, which holds {existing[-1].name}"
            "; delete the later checkpoints or choose another output_dir"
        )
    logger.info("resumed from %s after step %d", path, state.step)
    return path


@dataclass
class _Run:
    """The parts of a run between two steps: what is logged, evaluated and saved."""

    settings: TrainingSettings
    fabric: Fabric
    state: RunState
    take_step: OptimiserStep
    checkpoints: Path
    last_checkpoint: Path | None
    on_evaluate: Evaluate | None
    metrics: MetricsLog | None = None

    def step(self, batches: Any) -> StepResult:
        try:
            result = self.take_step(self.state.step, batches)
        except NotFinite as error:
            raise self._non_finite(str(error), self.state.step + 1) from error
        self.state.step += 1
        for message in result.broken:
            if message not in self.state.broken:
                logger.warning("skipped a broken file: %s", message)
                self.state.broken[message] = None
        return result

    def log(self, result: StepResult, more: Mapping[str, float]) -> None:
        if not self._due(self.settings.log_every) and self.state.step != 1:
            return
        # The mean over processes of this is the sum of what each has skipped.
        skipped = float(len(self.state.broken) * self.fabric.world_size)
        logs = _mean_over_processes({**result.logs, "broken_samples": skipped}, self.fabric)
        if self.metrics is not None:
            values = {"loss": result.loss, **logs, **result.scheduled, **more}
            self.metrics.write(self.state.step, values)

    def evaluate_if_due(self) -> None:
        if self.on_evaluate is None or not self._due(self.settings.evaluate_every):
            return
        method = self.state.method
        with unchanged_random_state(), torch.no_grad():
            method.eval()
            figures = self.on_evaluate(cast(Method, method), self.state.step)
            method.train()
        named = {f"evaluation/{name}": float(value) for name, value in figures.items()}
        if named and self.metrics is not None:
            self.metrics.write(self.state.step, named)

    def save_if_due_or_asked(self, stop: StopRequest) -> None:
        signal_name = self._agreed_signal(stop)
        if self._due(self.settings.checkpoint_every) or signal_name:
            path = self._save()
            if signal_name and self.state.step < self.settings.max_steps:
                raise TrainingInterrupted(signal_name, self.state.step, path)

    def _due(self, every: int) -> bool:
        return self.state.step % every == 0 or self.state.step == self.settings.max_steps

    def _save(self) -> Path:
        bad = non_finite_entry(self.state.method)
        if bad is not None:
            raise self._non_finite(f"{bad} holds NaN or infinity", self.state.step)
        content = capture_state(self.state, self.fabric)
        path, problem = Path(), None
        if self.fabric.is_global_zero:
            try:
                path = write_checkpoint(
                    self.checkpoints, self.state.step, content, self.settings.keep_checkpoints
                )
            except CheckpointWriteError as error:
                problem = str(error)
        path, problem = self.fabric.broadcast((path, problem))  # all processes fail together
        if problem is not None:
            raise CheckpointWriteError(problem)
        self.last_checkpoint = path
        return path

    def _agreed_signal(self, stop: StopRequest) -> str | None:
        """The signal that any process received: they must all stop after the same step."""
        if self.fabric.world_size == 1:
            return stop.signal_name
        own = signal.Signals[stop.signal_name] if stop.signal_name else 0
        asked = torch.tensor(float(own), device=self.fabric.device)
        number = int(cast(Tensor, self.fabric.all_reduce(asked, reduce_op="max")).item())
        return signal.Signals(number).name if number else None

    def _non_finite(self, what: str, step: int) -> NonFiniteLoss:
        return NonFiniteLoss(what, step, self.last_checkpoint)


class _Clock:
    """Images a second: of the last 20 steps for display, and of all steps."""

    def __init__(self, images_per_step: int) -> None:
        self._images = images_per_step
        self._recent: deque[float] = deque(maxlen=20)
        self._total, self._steps, self._started = 0.0, 0, 0.0

    def start(self) -> None:
        self._started = time.perf_counter()

    def stop(self) -> None:
        seconds = time.perf_counter() - self._started
        self._recent.append(seconds)
        self._total += seconds
        self._steps += 1

    @property
    def recent_rate(self) -> float:
        return self._images * len(self._recent) / sum(self._recent)

    @property
    def mean_rate(self) -> float:
        return self._images * self._steps / self._total if self._steps else float("nan")


def _memory(device: torch.device) -> dict[str, float]:
    """The peak of what limits a batch: a GPU's memory, or that of this process."""
    if device.type != "cuda":
        return {"peak_memory_mb": peak_memory_mb()}
    return {"peak_memory_mb": torch.cuda.max_memory_allocated(device) / 2**20}


def _mean_over_processes(logs: Mapping[str, Tensor | float], fabric: Fabric) -> dict[str, float]:
    names = sorted(logs)
    numbers = [0.0 if isinstance(logs[n], Tensor) else logs[n] for n in names]
    values = torch.tensor(numbers, dtype=torch.float32).to(fabric.device, non_blocking=True)
    for place, name in enumerate(names):
        if isinstance(value := logs[name], Tensor):
            values[place] = value
    reduced = cast(Tensor, fabric.all_reduce(values, reduce_op="mean"))
    return dict(zip(names, reduced.tolist(), strict=True))
