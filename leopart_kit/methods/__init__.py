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
from leopart_kit.methods.gram_anchor import GramAnchor, GramSettings
from leopart_kit.methods.leopart import Leopart, LeopartSettings
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.neco import NeCo, NeCoSettings
from leopart_kit.methods.paka import PaKA, PaKASettings
from leopart_kit.methods.patch_clusterer import PatchClusterer
from leopart_kit.methods.patch_embedder import PatchEmbedder
from leopart_kit.methods.projection_head import (
    LinearProjection,
    ProjectionHead,
    Prototypes,
    UnitTokens,
)
from leopart_kit.methods.student_teacher import StudentTeacher
from leopart_kit.methods.token_anchor import TokenAnchor
from leopart_kit.methods.warm_start import TokenChunks, warm_start

__all__ = [
    "AnchoredLeopart",
    "AnchoredSettings",
    "Built",
    "FeatureQueue",
    "GramAnchor",
    "GramSettings",
    "ImagesInOrder",
    "Leopart",
    "LeopartSettings",
    "LinearProjection",
    "Method",
    "MethodSettings",
    "NeCo",
    "NeCoSettings",
    "PaKA",
    "PaKASettings",
    "ParameterGroup",
    "Parts",
    "PatchClusterer",
    "PatchEmbedder",
    "ProjectionHead",
    "Prototypes",
    "StepOutput",
    "StudentTeacher",
    "TokenAnchor",
    "TokenChunks",
    "TrainingDefaults",
    "UnitTokens",
    "split_by_decay",
    "student_of",
    "update_ema",
    "warm_start",
]
