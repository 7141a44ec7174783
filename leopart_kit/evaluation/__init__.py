"""Protocols: from an encoder and a data set to a `Result`."""

from leopart_kit.evaluation.evaluate import evaluate
from leopart_kit.evaluation.features import FeatureStore, extract_features
from leopart_kit.evaluation.overclustering import Overclustering
from leopart_kit.evaluation.predictions import collect_samples, iter_clusters, iter_masks
from leopart_kit.evaluation.result import (
    Benchmark,
    PublishedFigure,
    Result,
    Sample,
    ScoreTable,
    Summary,
)
from leopart_kit.evaluation.task import EvaluationProtocol, Measurement, RunSettings, Task

__all__ = [
    "Benchmark",
    "EvaluationProtocol",
    "FeatureStore",
    "Measurement",
    "Overclustering",
    "PublishedFigure",
    "Result",
    "RunSettings",
    "Sample",
    "ScoreTable",
    "Summary",
    "Task",
    "collect_samples",
    "evaluate",
    "extract_features",
    "iter_clusters",
    "iter_masks",
]
