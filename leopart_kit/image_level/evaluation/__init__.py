"""Image-level evaluation: nearest neighbours, linear probes, few labels, fine-tuning, clusters."""

from leopart_kit.image_level.evaluation.clustering_agreement import (
    Agreement,
    adjusted_rand_index,
    agreement,
    contingency,
    normalized_mutual_information,
)
from leopart_kit.image_level.evaluation.evaluate import evaluate_image_level
from leopart_kit.image_level.evaluation.fine_tuning import fine_tune, predict_classes
from leopart_kit.image_level.evaluation.gallery import ClusterView, cluster_views
from leopart_kit.image_level.evaluation.linear_classifier import ChosenClassifier, linear_probe
from leopart_kit.image_level.evaluation.nearest_neighbours import knn_predict
from leopart_kit.image_level.evaluation.result import ImageLevelResult, ImageSets, Score
from leopart_kit.image_level.evaluation.settings import (
    ClusterSettings,
    FineTuningSettings,
    ImageLevelSettings,
    KnnSettings,
    LinearSettings,
)

__all__ = [
    "Agreement",
    "ChosenClassifier",
    "ClusterSettings",
    "ClusterView",
    "FineTuningSettings",
    "ImageLevelResult",
    "ImageLevelSettings",
    "ImageSets",
    "KnnSettings",
    "LinearSettings",
    "Score",
    "adjusted_rand_index",
    "agreement",
    "cluster_views",
    "contingency",
    "evaluate_image_level",
    "fine_tune",
    "knn_predict",
    "linear_probe",
    "normalized_mutual_information",
    "predict_classes",
]
