"""Protocols: from an encoder and a data set to a `Result`."""

from leopart_kit.evaluation.evaluate import RunSettings, evaluate
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

__all__ = [
    "Benchmark",
    "FeatureStore",
    "Overclustering",
    "PublishedFigure",
    "Result",
    "RunSettings",
    "Sample",
    "ScoreTable",
    "Summary",
    "collect_samples",
    "evaluate",
    "extract_features",
    "iter_clusters",
    "iter_masks",
]
