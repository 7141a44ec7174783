"""Images without masks have the classes that were learned elsewhere, by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leopart_kit.data import load_dataset
from leopart_kit.evaluation import RunSettings, evaluate, iter_masks, save_head
from leopart_kit.evaluation.protocols.fcn import FcnProbe
from leopart_kit.evaluation.protocols.in_context.protocol import InContext
from leopart_kit.evaluation.protocols.linear import LinearProbe
from leopart_kit.evaluation.protocols.linear_full import LinearFull
from leopart_kit.evaluation.protocols.patch_knn import PatchKnn
from leopart_kit.report.results_json import to_json, validate
from tests.evaluation.tiny_data import NAMES, MeanColour, encoder_of, write_folder

SIZES: dict[str, Any] = {"resolution": (32, 32), "score_resolution": (4, 4), "seeds": (0,)}
PROBE: dict[str, Any] = {**SIZES, "train_resolution": (4, 4), "epochs": 2, "drop_at": 1}
PROBE |= {"learning_rate": 1.0}
PROTOCOLS = [
    LinearProbe(**PROBE),
    FcnProbe(**PROBE, channels=4, head_resolution=None),
    LinearFull(**SIZES, learning_rates=(0.1,), weight_decays=(0.0,), holdout=0.25, iterations=1),
    InContext(**SIZES, neighbours=1),
    PatchKnn(**SIZES, neighbours=(1,), distances=("cosine",)),
]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_classes_of_the_training_images_or_of_a_head_are_named(tmp_path: Path, protocol):
    train = write_folder(tmp_path / "train", 8)
    write_folder(tmp_path / "bare", 2, masks=False)
    bare = load_dataset("folder", tmp_path / "bare", "all")
    run = RunSettings(shared_images="allow")
    labelled = evaluate(encoder_of(MeanColour()), train, protocol, run, train=train)
    results = [evaluate(encoder_of(MeanColour()), bare, protocol, run, train=train)]
    if isinstance(protocol, (LinearProbe, FcnProbe)):
        path = save_head(labelled.heads[0], tmp_path / "head.safetensors", NAMES)
        reading = type(protocol)(**{**PROBE, "train_split": None, "head": str(path)})
        results.append(evaluate(encoder_of(MeanColour()), bare, reading, run))
    for result in results:
        assert result.dataset.class_names == NAMES
        assert (result.dataset.num_classes, result.dataset.classes_present) == (4, ())
        assert result.cluster_maps is None
        assert "num_clusters" not in {**result.details, **labelled.details}
        validate(to_json(result))
        found, expected = dict(iter_masks(result, bare)), dict(iter_masks(labelled, train))
        for name, mask in found.items():
            np.testing.assert_array_equal(mask, expected[name])
