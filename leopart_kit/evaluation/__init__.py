"""Protocols: from an encoder and a data set to a `Result`."""

from leopart_kit.evaluation.attention_prior import AttentionAsTokens, attention_masks
from leopart_kit.evaluation.evaluate import evaluate
from leopart_kit.evaluation.features import FeatureStore, extract_features
from leopart_kit.evaluation.overclustering import Overclustering
from leopart_kit.evaluation.predictions import collect_samples, iter_clusters, iter_masks
from leopart_kit.evaluation.resizing import resize_image, resize_labels
from leopart_kit.evaluation.result import (
    Benchmark,
    ObjectView,
    PublishedFigure,
    Result,
    Sample,
    ScoreTable,
    Summary,
)
from leopart_kit.evaluation.selection import SearchSpace
from leopart_kit.evaluation.task import EvaluationProtocol, Measurement, RunSettings, Task
from leopart_kit.evaluation.unsupervised import Unsupervised

__all__ = [
    "AttentionAsTokens",
    "Benchmark",
    "EvaluationProtocol",
    "FeatureStore",
    "Measurement",
    "ObjectView",
    "Overclustering",
    "PublishedFigure",
    "Result",
    "RunSettings",
    "Sample",
    "ScoreTable",
    "SearchSpace",
    "Summary",
    "Task",
    "Unsupervised",
    "attention_masks",
    "collect_samples",
    "evaluate",
    "extract_features",
    "iter_clusters",
    "iter_masks",
    "resize_image",
    "resize_labels",
]
