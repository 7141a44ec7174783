"""The frame of every protocol: from an encoder and a data set to a `Result`."""

from typing import Any

from leopart_kit.evaluation.evaluate import evaluate
from leopart_kit.evaluation.result import (
    Benchmark,
    ObjectView,
    PublishedFigure,
    Result,
    ScoreTable,
    Summary,
)
from leopart_kit.evaluation.scores.readout import (
    collect_samples,
    collect_tokens,
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
from leopart_kit.parts import find_part, list_parts

__all__ = [
    "Benchmark",
    "EvaluationProtocol",
    "FcnHead",
    "FeatureStore",
    "LinearHead",
    "Measurement",
    "ObjectView",
    "PublishedFigure",
    "Result",
    "RunSettings",
    "ScoreTable",
    "Summary",
    "Task",
    "collect_samples",
    "collect_tokens",
    "evaluate",
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

_PROTOCOLS = ("leopart_kit.evaluation.protocols",)


def __getattr__(name: str) -> Any:
    """The protocol whose class has this name; none is imported before one is asked for."""
    if name[:1].isupper():
        for part in list_parts(_PROTOCOLS):
            found = find_part(_PROTOCOLS, part, "protocol")
            if found.__name__ == name:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
