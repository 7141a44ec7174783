"""Dense self-supervised segmentation: measure, train and export what patch tokens know.

Measure an encoder in two lines, by its name or as a network of your own:

    import leopart_kit
    print(leopart_kit.evaluate("dino_vits16", "FOLDER").metrics["miou"])

`FOLDER` holds `images/` and `masks/`. `load_dataset("voc", root, "val")`, a pair of arrays
`(images, masks)` or a `Dataset` of torch stand there as well, see `as_dataset`.

With arrays of your own: `extract` gives patch tokens `[N, h, w, D]` of images, `cluster` ids of
tokens, `match` the classes and scores of two stacks of maps, `UnsupervisedMIoU` those of batches;
`overlay` and `outline` draw them. `leopart_loss` and `sinkhorn_knopp` are pure functions.

The commands `leopart eval`, `leopart train`, `leopart export` do the same from a shell; each has
`--help`. A method, a protocol or a data set of your own is one file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leopart_kit.arrays import cluster as cluster
    from leopart_kit.arrays import extract as extract
    from leopart_kit.arrays import match as match
    from leopart_kit.backbones import Encoder as Encoder
    from leopart_kit.backbones import as_encoder as as_encoder
    from leopart_kit.backbones import list_encoders as list_encoders
    from leopart_kit.backbones import load_encoder as load_encoder
    from leopart_kit.backbones import read_checkpoint as read_checkpoint
    from leopart_kit.clustering import KMeans as KMeans
    from leopart_kit.clustering import attention_foreground as attention_foreground
    from leopart_kit.clustering import cooccurrence as cooccurrence
    from leopart_kit.clustering import detect_communities as detect_communities
    from leopart_kit.clustering import sinkhorn_knopp as sinkhorn_knopp
    from leopart_kit.data import MultiCropTransform as MultiCropTransform
    from leopart_kit.data import as_dataset as as_dataset
    from leopart_kit.data import list_datasets as list_datasets
    from leopart_kit.data import load_dataset as load_dataset
    from leopart_kit.data import view_overlaps as view_overlaps
    from leopart_kit.drawing import outline as outline
    from leopart_kit.drawing import overlay as overlay
    from leopart_kit.drawing import palette as palette
    from leopart_kit.evaluation import Result as Result
    from leopart_kit.evaluation import RunSettings as RunSettings
    from leopart_kit.evaluation import evaluate as evaluate
    from leopart_kit.evaluation.protocols.fcn import FcnProbe as FcnProbe
    from leopart_kit.evaluation.protocols.in_context import InContext as InContext
    from leopart_kit.evaluation.protocols.linear import LinearProbe as LinearProbe
    from leopart_kit.evaluation.protocols.overclustering import Overclustering as Overclustering
    from leopart_kit.evaluation.protocols.unsupervised import Unsupervised as Unsupervised
    from leopart_kit.evaluation.protocols.unsupervised_27 import Unsupervised27 as Unsupervised27
    from leopart_kit.losses import gram_anchoring as gram_anchoring
    from leopart_kit.losses import ibot_loss as ibot_loss
    from leopart_kit.losses import leopart_loss as leopart_loss
    from leopart_kit.losses import neco_loss as neco_loss
    from leopart_kit.losses import patch_kernel_alignment as patch_kernel_alignment
    from leopart_kit.losses import soft_sort as soft_sort
    from leopart_kit.losses import stego_correlation as stego_correlation
    from leopart_kit.metrics import ConfusionMatrix as ConfusionMatrix
    from leopart_kit.metrics import UnsupervisedMIoU as UnsupervisedMIoU
    from leopart_kit.metrics import match_hungarian as match_hungarian
    from leopart_kit.metrics import match_many_to_one as match_many_to_one
    from leopart_kit.metrics import segmentation_scores as segmentation_scores

__version__ = "0.1.0"

_PLACES = {
    "arrays": "cluster extract match",
    "backbones": "Encoder as_encoder list_encoders load_encoder read_checkpoint",
    "clustering": "KMeans attention_foreground cooccurrence detect_communities sinkhorn_knopp",
    "data": "MultiCropTransform as_dataset list_datasets load_dataset view_overlaps",
    "drawing": "outline overlay palette",
    "evaluation": "Result RunSettings evaluate",
    "evaluation.protocols.fcn": "FcnProbe",
    "evaluation.protocols.in_context": "InContext",
    "evaluation.protocols.linear": "LinearProbe",
    "evaluation.protocols.overclustering": "Overclustering",
    "evaluation.protocols.unsupervised": "Unsupervised",
    "evaluation.protocols.unsupervised_27": "Unsupervised27",
    "losses": "gram_anchoring ibot_loss leopart_loss neco_loss patch_kernel_alignment soft_sort "
    "stego_correlation",
    "metrics": "ConfusionMatrix UnsupervisedMIoU match_hungarian match_many_to_one "
    "segmentation_scores",
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names.split()}

__all__ = [*_PLACE_OF]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """The name from its package, imported when it is first asked for: torch takes seconds."""
    if name not in _PLACE_OF:
        raise AttributeError(f"module 'leopart_kit' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"leopart_kit.{_PLACE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
