"""Curves for Weights & Biases, by way of `output_dir/wandb`.

Its own variables say where they go: `WANDB_PROJECT`, `WANDB_ENTITY`, and `WANDB_MODE=offline` for
a machine without network (`wandb sync` sends them later).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

_PROJECT = "leopart_kit"


class WandbLogger:
    """One run of W&B a training folder; a resumed training goes on in it.

    Raises:
        ValueError: W&B refuses, for example because nobody is logged in.
    """

    def __init__(self, output_dir: Path, resumed_step: int, about: Mapping[str, Any]) -> None:
        self.place = output_dir / "wandb"
        place = [str(output_dir.resolve()), json.dumps(dict(about), sort_keys=True, default=str)]
        try:
            self._run = wandb.init(  # pyright: ignore[reportAttributeAccessIssue]
                dir=str(output_dir),
                project=os.environ.get("WANDB_PROJECT") or _PROJECT,
                name=os.environ.get("WANDB_NAME") or output_dir.name,
                id=hashlib.sha256(repr(place).encode()).hexdigest()[:16],
                resume="allow",
                config=dict(about),
            )
        except wandb.Error as error:  # pyright: ignore[reportAttributeAccessIssue]
            raise ValueError(
                f"logger=wandb: {' '.join(str(error).split())}; log in with `wandb login`, or set "
                "WANDB_MODE=offline"
            ) from error
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """See `Logger`."""
        self._run.log({"step": step, **values})

    def close(self, failed: bool) -> None:
        """See `Logger`."""
        self._run.finish(exit_code=int(failed))


PART = WandbLogger
