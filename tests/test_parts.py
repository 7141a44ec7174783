"""Names of parts and of what users write themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.backbones import list_encoders
from leopart_kit.data import list_datasets
from leopart_kit.evaluation.evaluate import PROTOCOLS
from leopart_kit.parts import close_names, import_named, list_parts, unknown_choice
from leopart_kit.settings import read_part

NAMES = [*list_encoders(), *list_datasets(), *list_parts(PROTOCOLS)]


@given(st.sampled_from([name for name in NAMES if len(name) > 3]), st.data())
def test_one_letter_wrong_is_still_told(name: str, data: st.DataObject):
    at = data.draw(st.integers(0, len(name) - 1))
    kind = data.draw(st.sampled_from(["left out", "twice", "other"]))
    put = {"left out": "", "twice": name[at] * 2, "other": "z"}[kind]
    near = close_names(name[:at] + put + name[at + 1 :], [name, "unlike", "qqqq"])
    assert near[:1] == [name]


@pytest.mark.parametrize("known", [["voc", "pascal_part"], [*map(str, range(40)), "pascal_part"]])
def test_a_few_names_are_always_listed(known: list[str]):
    text = unknown_choice("dataset", "pascal", known)
    assert "pascal_part" in text
    assert (known[0] in text.split("pascal_part", 1)[1]) == (len(known) < 40)


@pytest.mark.parametrize("module", ["mymodel.py", "./mymodel.py", "models/mymodel.py"])
def test_a_file_where_a_module_is_wanted_is_told(module: str):
    dotted = module.removeprefix("./").removesuffix(".py").replace("/", ".")
    with pytest.raises(ValueError, match=f"encoder.factory={dotted}:Tiny"):
        import_named(f"{module}:Tiny", "encoder.factory")


def test_settings_of_a_part_that_was_not_chosen_name_the_group():
    with pytest.raises(ValueError, match=r"evaluation\.dataset.*limit.*voc"):
        read_part(["leopart_kit.data"], {"limit": 8}, "evaluation.dataset")
