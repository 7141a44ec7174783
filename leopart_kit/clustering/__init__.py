"""k-means, PCA, optimal transport, foreground, communities: from tokens to clusters to objects."""

from leopart_kit.clustering.cluster_foreground import (
    cluster_precision,
    foreground_clusters,
    label_free_threshold,
    threshold_candidates,
)
from leopart_kit.clustering.communities import cluster_graph, detect_communities, mutual_edges
from leopart_kit.clustering.component_foreground import ComponentForeground
from leopart_kit.clustering.cooccurrence import CooccurrenceSums, cooccurrence
from leopart_kit.clustering.foreground import attention_foreground, foreground_confidence
from leopart_kit.clustering.kmeans import KMeans
from leopart_kit.clustering.kmeans_faiss import FaissKMeans
from leopart_kit.clustering.nearest_neighbours import merge_neighbours, nearest_neighbours
from leopart_kit.clustering.partition_quality import (
    PartitionQuality,
    partition_quality,
    partition_stability,
)
from leopart_kit.clustering.projection import PCA, Standardizer, TokenProjection
from leopart_kit.clustering.sinkhorn import sinkhorn_knopp, sinkhorn_potentials

__all__ = [
    "PCA",
    "ComponentForeground",
    "CooccurrenceSums",
    "FaissKMeans",
    "KMeans",
    "PartitionQuality",
    "Standardizer",
    "TokenProjection",
    "attention_foreground",
    "cluster_graph",
    "cluster_precision",
    "cooccurrence",
    "detect_communities",
    "foreground_clusters",
    "foreground_confidence",
    "label_free_threshold",
    "merge_neighbours",
    "mutual_edges",
    "nearest_neighbours",
    "partition_quality",
    "partition_stability",
    "sinkhorn_knopp",
    "sinkhorn_potentials",
    "threshold_candidates",
]
