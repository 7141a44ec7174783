"""Dense methods and the parts they share with others: heads, prototypes, queue, moving average."""

from leopart_kit.methods.anchored_leopart import AnchoredLeopart, AnchoredSettings, student_of
from leopart_kit.methods.building import (
    Built,
    ImagesInOrder,
    MethodSettings,
    Parts,
    TrainingDefaults,
)
from leopart_kit.methods.ema import update_ema
from leopart_kit.methods.feature_queue import FeatureQueue
from leopart_kit.methods.leopart import Leopart, LeopartSettings
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.patch_clusterer import PatchClusterer
from leopart_kit.methods.projection_head import LinearProjection, ProjectionHead, Prototypes
from leopart_kit.methods.token_anchor import TokenAnchor
from leopart_kit.methods.warm_start import TokenChunks, warm_start

__all__ = [
    "AnchoredLeopart",
    "AnchoredSettings",
    "Built",
    "FeatureQueue",
    "ImagesInOrder",
    "Leopart",
    "LeopartSettings",
    "LinearProjection",
    "Method",
    "MethodSettings",
    "ParameterGroup",
    "Parts",
    "PatchClusterer",
    "ProjectionHead",
    "Prototypes",
    "StepOutput",
    "TokenAnchor",
    "TokenChunks",
    "TrainingDefaults",
    "split_by_decay",
    "student_of",
    "update_ema",
    "warm_start",
]
