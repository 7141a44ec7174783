"""Protocols: from an encoder and a data set to a `Result`."""

from leopart_kit.evaluation.evaluate import evaluate
from leopart_kit.evaluation.protocols.fcn import FcnProbe
from leopart_kit.evaluation.protocols.in_context.protocol import InContext
from leopart_kit.evaluation.protocols.linear import LinearProbe
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.evaluation.protocols.predictions.evaluate import evaluate_predictions
from leopart_kit.evaluation.protocols.predictions.folder import PredictionFolder
from leopart_kit.evaluation.protocols.predictions.protocol import Predictions
from leopart_kit.evaluation.protocols.unsupervised.attention_prior import (
    AttentionAsTokens,
    attention_masks,
)
from leopart_kit.evaluation.protocols.unsupervised.protocol import Unsupervised
from leopart_kit.evaluation.protocols.unsupervised.selection import SearchSpace
from leopart_kit.evaluation.protocols.unsupervised_27 import Unsupervised27
from leopart_kit.evaluation.result import (
    Benchmark,
    ObjectView,
    PublishedFigure,
    Result,
    Sample,
    ScoreTable,
    Summary,
)
from leopart_kit.evaluation.scores.readout import (
    collect_samples,
    iter_clusters,
    iter_masks,
    picture_of,
)
from leopart_kit.evaluation.scores.resizing import resize_image, resize_labels
from leopart_kit.evaluation.segmentation_heads import (
    FcnHead,
    LinearHead,
    load_head,
    save_head,
)
from leopart_kit.evaluation.store.features import FeatureStore, extract_features
from leopart_kit.evaluation.task import (
    EvaluationProtocol,
    Measurement,
    RunSettings,
    Task,
    view_of,
)

__all__ = [
    "AttentionAsTokens",
    "Benchmark",
    "EvaluationProtocol",
    "FcnHead",
    "FcnProbe",
    "FeatureStore",
    "InContext",
    "LinearHead",
    "LinearProbe",
    "Measurement",
    "ObjectView",
    "Overclustering",
    "PredictionFolder",
    "Predictions",
    "PublishedFigure",
    "Result",
    "RunSettings",
    "Sample",
    "ScoreTable",
    "SearchSpace",
    "Summary",
    "Task",
    "Unsupervised",
    "Unsupervised27",
    "attention_masks",
    "collect_samples",
    "evaluate",
    "evaluate_predictions",
    "extract_features",
    "iter_clusters",
    "iter_masks",
    "load_head",
    "picture_of",
    "resize_image",
    "resize_labels",
    "save_head",
    "view_of",
]
