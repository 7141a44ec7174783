from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from leopart_kit.data import load_dataset
from leopart_kit.evaluation import evaluate
from leopart_kit.evaluation.protocols.parts import Parts, part_agreement
from leopart_kit.report.results_json import to_json, validate
from tests.evaluation.tiny_data import SIDE, MeanColour, encoder_of, write_folder

PROTOCOL = Parts(
    resolution=(SIDE, SIDE),
    score_resolution=(SIDE, SIDE),
    seeds=(0, 1),
    num_clusters=4,
    pca_dim=None,
)


@settings(deadline=None, max_examples=40)
@given(arrays(np.int64, (3, 4), elements=st.integers(0, 6)).filter(lambda a: a[1:].sum() > 1))
def test_figures_are_those_of_scikit_learn(counts: np.ndarray):
    for background, start, area in ((True, 1, "foreground"), (True, 0, "all")):
        table = counts[start:]
        pairs = [(c, k) for c, row in enumerate(table) for k, n in enumerate(row) for _ in range(n)]
        classes, clusters = zip(*pairs, strict=True)
        found = part_agreement({0: counts}, background)
        assert found[f"ari_{area}"]["mean"] == pytest.approx(
            100 * adjusted_rand_score(classes, clusters), abs=1e-6
        )
        assert found[f"nmi_{area}"]["mean"] == pytest.approx(
            100 * normalized_mutual_info_score(classes, clusters), abs=1e-6
        )


def test_clusters_that_follow_the_parts_agree_wholly(tmp_path: Path):
    images = write_folder(tmp_path / "data", 8)
    result = evaluate(encoder_of(MeanColour()), images, PROTOCOL)
    validate(to_json(result))
    assert result.metrics["miou"].mean == 100
    agreement = result.details["agreement"]
    assert set(agreement) == {"nmi_all", "ari_all", "nmi_foreground", "ari_foreground"}
    assert all(found["per_seed"] == pytest.approx([100, 100]) for found in agreement.values())


def test_the_parts_of_scenes_and_what_is_unknown(tmp_path: Path):
    root = tmp_path / "scenes"
    options = {"num_images": 4, "image_size": (32, 32)}
    scenes = load_dataset("scenes", root, "val", "parts", **options)  # type: ignore[arg-type]
    result = evaluate(encoder_of(MeanColour()), scenes, PROTOCOL)
    assert 0 <= result.details["agreement"]["nmi_all"]["mean"] <= 100
    mask = next((root / "SegmentationPart").glob("*.png"))
    Image.fromarray(np.full((32, 32), 77, np.uint8)).save(mask)
    with pytest.raises(ValueError, match=rf"{mask.name} holds id 77; expected 0"):
        evaluate(encoder_of(MeanColour()), scenes, PROTOCOL)


def test_images_without_part_masks_are_refused(tmp_path: Path):
    bare = write_folder(tmp_path / "bare", 3, masks=False)
    with pytest.raises(ValueError, match="no part masks"):
        evaluate(encoder_of(MeanColour()), bare, PROTOCOL)
