"""Training methods and the parts they share: heads, prototypes, queue, moving average."""

from leopart_kit.methods.anchored_leopart import AnchoredLeopart, AnchoredSettings, student_of
from leopart_kit.methods.autoencoder import Autoencoder
from leopart_kit.methods.caption_tokenizer import CaptionTokenizer
from leopart_kit.methods.clip import CLIP, CLIPSettings
from leopart_kit.methods.context_encoder import ContextEncoder
from leopart_kit.methods.context_prediction import ContextPrediction
from leopart_kit.methods.deep_cluster import DeepCluster
from leopart_kit.methods.dino import DINO, DINOSettings
from leopart_kit.methods.distillation import Distillation, DistillationSettings, Teacher
from leopart_kit.methods.ema import update_ema
from leopart_kit.methods.exemplar import Exemplar
from leopart_kit.methods.feature_queue import FeatureQueue
from leopart_kit.methods.image_classifier import ImageClassifier
from leopart_kit.methods.image_clusterer import ImageClusterer
from leopart_kit.methods.leopart import Leopart, LeopartSettings
from leopart_kit.methods.mae import MAE
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.moco_v2 import MoCoV2
from leopart_kit.methods.moco_v3 import MoCoV3
from leopart_kit.methods.patch_clusterer import PatchClusterer
from leopart_kit.methods.projection_head import LinearProjection, ProjectionHead, Prototypes
from leopart_kit.methods.rotnet import RotNet
from leopart_kit.methods.sela import SeLa, labelling_steps
from leopart_kit.methods.simclr import SimCLR
from leopart_kit.methods.swav import SwAV, SwAVSettings
from leopart_kit.methods.token_anchor import TokenAnchor
from leopart_kit.methods.warm_start import TokenChunks, warm_start
from leopart_kit.methods.whole_set import ImagesInOrder, features_in_order

__all__ = [
    "CLIP",
    "DINO",
    "MAE",
    "AnchoredLeopart",
    "AnchoredSettings",
    "Autoencoder",
    "CLIPSettings",
    "CaptionTokenizer",
    "ContextEncoder",
    "ContextPrediction",
    "DINOSettings",
    "DeepCluster",
    "Distillation",
    "DistillationSettings",
    "Exemplar",
    "FeatureQueue",
    "ImageClassifier",
    "ImageClusterer",
    "ImagesInOrder",
    "Leopart",
    "LeopartSettings",
    "LinearProjection",
    "Method",
    "MoCoV2",
    "MoCoV3",
    "ParameterGroup",
    "PatchClusterer",
    "ProjectionHead",
    "Prototypes",
    "RotNet",
    "SeLa",
    "SimCLR",
    "StepOutput",
    "SwAV",
    "SwAVSettings",
    "Teacher",
    "TokenAnchor",
    "TokenChunks",
    "features_in_order",
    "labelling_steps",
    "split_by_decay",
    "student_of",
    "update_ema",
    "warm_start",
]
