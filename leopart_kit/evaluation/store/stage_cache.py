"""Results of the stages of a long evaluation on disk, beside the features they were made from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from leopart_kit.identity import Identity
from leopart_kit.npz_file import read_npz
from leopart_kit.processes import ALONE, Processes
from leopart_kit.whole_file import whole_file

logger = logging.getLogger(__name__)


class StageCache:
    """Keeps the arrays of a stage under all that determines them.

    Args:
        folder: receives one file a stage and setting; deleting it costs time only.
        key: what holds for every stage, such as the stores that are read.
        processes: those that share the measurement; the first one computes.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any], processes: Processes = ALONE) -> None:
        self.folder = folder
        self.processes = processes
        self.key = dict(key)

    def get(
        self, stage: str, key: Mapping[str, Any], compute: Callable[[], Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """The arrays of a stage: from disk if it was computed before, else from `compute`.

        Args:
            key: what determines the result beside the cache's own key; plain JSON values.
        """
        path = self.path(stage, key)
        return self.processes.once(lambda: self._load_or_make(path, stage, compute))

    def path(self, stage: str, key: Mapping[str, Any]) -> Path:
        """Folder in which `get` keeps the arrays of a stage."""
        identity = Identity.of(**{**self.key, "stage": stage, **key})
        return self.folder / f"{stage}-{identity.key}.npz"

    def _load_or_make(
        self, path: Path, stage: str, compute: Callable[[], Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        if path.exists():
            try:
                arrays = read_npz(path)
            except ValueError as error:
                logger.warning("%s: %s; it is made anew", stage, error)
            else:
                logger.info("%s: reused %s", stage, path)
                return arrays
        arrays = dict(compute())
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        return arrays
