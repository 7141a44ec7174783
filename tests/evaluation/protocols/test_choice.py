"""Choices on held-out images: no setting is lost, and the chosen one is told."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.evaluation import RunSettings, evaluate
from leopart_kit.evaluation.protocols.linear import LinearProbe
from leopart_kit.evaluation.protocols.linear_full import LinearFull
from leopart_kit.evaluation.protocols.patch_knn import PatchKnn
from leopart_kit.evaluation.protocols.patch_logistic import PatchLogistic
from leopart_kit.evaluation.protocols.training_split.choice import short_names
from tests.evaluation.tiny_data import MeanColour, encoder_of, write_folder

SMALL: dict[str, Any] = {"resolution": (32, 32), "score_resolution": (8, 8), "holdout": 0.25}
LISTS = [
    (PatchLogistic, "strengths"),
    (LinearFull, "learning_rates"),
    (LinearFull, "weight_decays"),
    (LinearProbe, "learning_rates"),
    (PatchKnn, "neighbours"),
]
FULL: dict[str, Any] = {"iterations": 1, "batch_size": 4}
CLOSE = [
    PatchLogistic(**SMALL, strengths=(1.0, 1.0001, 1.0 + 2**-52)),
    LinearFull(**SMALL, **FULL, learning_rates=(1e-3, 0.0010000001), weight_decays=(0.0,)),
    LinearFull(**SMALL, **FULL, learning_rates=(1e-3,), weight_decays=(0.1, 0.1000001)),
]


@given(st.lists(st.floats(min_value=0, allow_infinity=False), min_size=1, max_size=9, unique=True))
def test_names_tell_numbers_apart(values: list[float]):
    assert len(set(short_names(values))) == len(values)


def test_names_are_short_where_they_can_be():
    assert short_names([0.001, 1e-06, 3.7275937]) == ["0.001", "1e-06", "3.73"]
    assert short_names([1.0, 1.0001]) == ["1", "1.0001"]


@pytest.mark.parametrize(("kind", "name"), LISTS)
def test_a_value_that_is_listed_twice_is_named(kind, name: str):
    with pytest.raises(ValueError, match=rf"^{name}.*distinct"):
        kind(**{name: (3, 1, 3)})


@pytest.mark.parametrize("protocol", CLOSE, ids=lambda protocol: protocol.name)
def test_close_values_are_all_tried_and_the_first_of_equal_ones_is_told(
    tmp_path: Path, protocol, caplog
):
    """One step trains heads that hardly differ: all are equally good on the held-out images."""
    dataset = write_folder(tmp_path, 8)
    with caplog.at_level(logging.INFO, "leopart_kit.evaluation.protocols"):
        run = RunSettings(shared_images="allow")
        details = evaluate(encoder_of(MeanColour()), dataset, protocol, run, train=dataset).details
    tried = details["miou_on_held_out_images"]["0"]
    assert len(tried) == max(
        len(values) for values in vars(protocol).values() if isinstance(values, tuple)
    )
    assert len(set(tried.values())) == 1
    [chosen] = details["chosen"]
    assert chosen == {"seed": 0, "setting": next(iter(tried))}
    [line] = [r.getMessage() for r in caplog.records if "chosen" in r.getMessage()]
    assert line.split("chosen: ")[1].startswith(chosen["setting"])
