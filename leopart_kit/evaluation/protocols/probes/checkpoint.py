"""Heads in training on disk, so that a run that was broken off goes on."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from leopart_kit.whole_file import whole_file

logger = logging.getLogger(__name__)

Best = dict[str, Any]
"""Of a head: its highest `score` so far, and its `state` then."""


@dataclass(frozen=True)
class HeadsCheckpoint:
    """A file of heads, their optimisers, and how far they are.

    Attributes:
        path: the file.
        unit: what is counted.
        heads: filled by `resume`.
        optimisers: of the heads, likewise.
    """

    path: Path
    unit: Literal["epoch", "step"]
    heads: Sequence[nn.Module]
    optimisers: Sequence[torch.optim.Optimizer]

    def save(self, finished: int, best: Sequence[Best | None] | None = None) -> None:
        """Write the state after so many epochs or steps; `best` of each head, where one counts."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            self.unit: finished,
            "heads": [head.state_dict() for head in self.heads],
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "best": list(best or self._none()),
        }
        with whole_file(self.path) as temporary:
            torch.save(state, temporary)

    def resume(self) -> tuple[int, list[Best | None]]:
        """Fill heads and optimisers; what is finished, 0 without a file, and the best states.

        Raises ValueError for a file that is not as it was written.
        """
        if not self.path.is_file():
            return 0, self._none()
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            finished = range(state[self.unit] + 1)[-1]  # a whole number from 0
            for head, kept in zip(self.heads, state["heads"], strict=True):
                head.load_state_dict(kept)
            for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(kept)
            best = list(state["best"])
            for head, kept in zip(self.heads, best, strict=True):
                if kept is not None:
                    float(kept["score"])
                    copy.deepcopy(head).load_state_dict(kept["state"])
        except Exception as error:  # a damaged pickle can ask for any operation on any object
            raise ValueError(
                f"{self.path} is damaged; delete it to train the heads from the start"
            ) from error
        logger.info("heads: going on after %s %d", self.unit, finished)
        return finished, best

    def _none(self) -> list[Best | None]:
        return [None] * len(self.heads)
