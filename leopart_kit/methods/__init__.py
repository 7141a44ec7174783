"""Training methods and the parts they share: heads, prototypes, queue, moving average."""

from leopart_kit.methods.ema import update_ema
from leopart_kit.methods.feature_queue import FeatureQueue
from leopart_kit.methods.projection_head import LinearProjection, ProjectionHead, Prototypes

__all__ = ["FeatureQueue", "LinearProjection", "ProjectionHead", "Prototypes", "update_ema"]
