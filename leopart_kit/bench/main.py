"""Entry point: `python tools/bench.py [scoring|kmeans|extraction|memory|train|…] …`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial

import torch

from leopart_kit.bench.communities import bench_communities
from leopart_kit.bench.dense_methods import bench_dense_methods
from leopart_kit.bench.evaluation import bench_extraction, bench_kmeans, bench_memory, bench_scoring
from leopart_kit.bench.export import bench_export
from leopart_kit.bench.gpu import bench_gpu
from leopart_kit.bench.in_context import bench_in_context
from leopart_kit.bench.kmeans_processes import bench_kmeans_large, bench_kmeans_processes
from leopart_kit.bench.processes import bench_probe, bench_processes
from leopart_kit.bench.refine import bench_refine
from leopart_kit.bench.scaling import bench_scaling
from leopart_kit.bench.shards import bench_shards
from leopart_kit.bench.soft_sort import bench_soft_sort
from leopart_kit.bench.startup import bench_startup
from leopart_kit.bench.stego import bench_stego
from leopart_kit.bench.training import bench_train
from leopart_kit.bench.views import bench_views

BENCHMARKS: dict[str, Callable[[], Iterator[str]]] = {
    "scoring": bench_scoring,
    "kmeans": bench_kmeans,
    "kmeans_large": bench_kmeans_large,
    "kmeans_processes": bench_kmeans_processes,
    "extraction": bench_extraction,
    "memory": bench_memory,
    "train": bench_train,
    "views": bench_views,
    "dense_methods": bench_dense_methods,
    "soft_sort": bench_soft_sort,
    "communities": bench_communities,
    "refine": bench_refine,
    "export": bench_export,
    "in_context": bench_in_context,
    "probe": bench_probe,
    "processes": bench_processes,
    "startup": bench_startup,
    "stego": bench_stego,
    "shards": bench_shards,
    "scaling": bench_scaling,
    "gpu": bench_gpu,
}


def main() -> None:
    """Run the named benchmarks, all by default, and print their lines."""
    parser = argparse.ArgumentParser(description="Speed and memory, as ratios measured in one run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--small", action="store_true", help="gpu: a few images, on the CPU too")
    parser.add_argument("--threads", type=int, help="threads of torch (default: its own choice)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"unknown benchmark {sorted(unknown)[0]!r}; there are {', '.join(BENCHMARKS)}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    benchmarks = BENCHMARKS | {"gpu": partial(bench_gpu, arguments.small)}
    for name in arguments.names or benchmarks:
        for line in benchmarks[name]():
            print(line, flush=True)
