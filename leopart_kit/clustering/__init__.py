"""k-means, PCA, optimal-transport assignments, foreground: what turns tokens into clusters."""

from leopart_kit.clustering.foreground import attention_foreground
from leopart_kit.clustering.kmeans import KMeans
from leopart_kit.clustering.kmeans_faiss import FaissKMeans
from leopart_kit.clustering.projection import PCA, Standardizer
from leopart_kit.clustering.sinkhorn import sinkhorn_knopp, sinkhorn_potentials

__all__ = [
    "PCA",
    "FaissKMeans",
    "KMeans",
    "Standardizer",
    "attention_foreground",
    "sinkhorn_knopp",
    "sinkhorn_potentials",
]
