"""One call from a folder of predictions and a data set to a `Result`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.evaluate import result_of
from leopart_kit.evaluation.protocols.predictions.folder import PredictionFolder
from leopart_kit.evaluation.protocols.predictions.protocol import Predictions
from leopart_kit.evaluation.result import Benchmark, Result
from leopart_kit.evaluation.task import Measurement, RunSettings, view_of


def evaluate_predictions(
    folder: PredictionFolder,
    dataset: SegmentationDataset,
    protocol: Predictions,
    run: RunSettings | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    benchmark: Benchmark | None = None,
) -> Result:
    """Score a folder of predictions that any method made; arguments and errors as `evaluate`.

    Returns:
        The figures; its `encoder` names the folder and holds the sha256 of its files.
    """
    run = run or RunSettings()
    dataset = view_of(protocol, dataset)

    def measure(usable: Sequence[int]) -> Measurement:
        return protocol.measure(folder, dataset, usable, run)

    return result_of(folder, dataset, protocol, run, measure, settings, benchmark)
