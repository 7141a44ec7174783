"""Graphs of a compiled step of every method, by a backend that counts instead of compiling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import _dynamo as dynamo
from torch._dynamo.utils import counters

from leopart_kit.cli import rounds
from leopart_kit.cli.train import main
from leopart_kit.cli.training_run import run_early_round
from leopart_kit.training.step import OptimiserStep
from tests.cli.command import run_command_line
from tests.cli.every_method import METHODS, words_of

MOST, STEPS = 4, 6
COMPILE = torch.compile


class Counted:
    """Graphs that were made, and how often one was run, by step."""

    def __init__(self) -> None:
        self.runs, self.made, self._runs = [], [], 0

    def backend(self, graph: torch.fx.GraphModule, inputs: Any) -> Any:
        def run(*values: Any) -> Any:
            self._runs += 1
            return graph(*values)

        return run

    def __str__(self) -> str:
        return f"runs {self.runs}, made {self.made}, breaks {[*counters['graph_break']]}"

    def step_done(self) -> None:
        self.runs.append(self._runs - sum(self.runs))
        self.made.append(counters["stats"]["unique_graphs"])


@pytest.mark.parametrize("method", METHODS)
def test_a_step_is_few_graphs_which_are_made_in_the_first_steps(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    counted, own = Counted(), OptimiserStep.__call__

    def step(self: OptimiserStep, number: int, batches: Any) -> Any:
        result = own(self, number, batches)
        counted.step_done()
        return result

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "compile", lambda m, **_: COMPILE(m, backend=counted.backend))
    monkeypatch.setattr(OptimiserStep, "__call__", step)
    monkeypatch.setattr(rounds, "run_training", lambda *given: run_early_round(*given[:2]))
    dynamo.reset()
    counters.clear()
    words = words_of(method, f"trainer.max_steps={STEPS}", "trainer.compile=true")
    run_command_line(main, "leopart train", words)
    assert counted.made[0] > 0
    assert max(counted.runs[1:]) <= MOST, str(counted)  # running statistics start in the first
    assert len(set(counted.made[3:])) == 1, str(counted)
