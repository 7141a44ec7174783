"""The reference of the public names: every one has its place, every link leads somewhere."""

from __future__ import annotations

import builtins
import importlib
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from leopart_kit.cli.declared import PACKAGES
from leopart_kit.parts import find_part, list_parts
from tools.api_reference import public_packages, write_reference

OURS = {module.split(".")[-1] for module in public_packages()} | {"leopart_kit"}
FILES = {"html", "jsonl", "npz", "txt"}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """All pages, by their paths."""
    folder = tmp_path_factory.mktemp("reference")
    write_reference(folder)
    script = re.compile(r"<script>.*?</script>", re.DOTALL)
    return {page: script.sub("", page.read_text()) for page in folder.rglob("*.html")}


def page_of(reference: dict[Path, str], module: str) -> str:
    ending = f"0/{module.replace('.', '/')}.html"
    (found,) = (text for page, text in reference.items() if page.as_posix().endswith(ending))
    return found


def test_every_public_name_has_a_place(reference: dict[Path, str]):
    for module in ["leopart_kit", *public_packages()]:
        page = page_of(reference, module)
        names = importlib.import_module(module).__all__
        assert [name for name in names if f'id="{name}"' not in page] == [], module


@pytest.mark.parametrize("group", ["dataset", "method", "protocol"])
def test_the_settings_of_every_part_have_a_place(reference: dict[Path, str], group: str):
    everything = "".join(reference.values())
    for name in list_parts(PACKAGES[group]):
        part = find_part(PACKAGES[group], name, group)
        assert f'id="{part.__name__}"' in everything, f"{group}={name}"


def test_no_link_is_broken(reference: dict[Path, str]):
    broken = set()
    for page, text in reference.items():
        for link in set(re.findall(r'href="([^"]+)"', text)):
            name, _, anchor = unquote(link).partition("#")
            target = (page.parent / name).resolve() if name else page
            lost = anchor and f'id="{anchor}"' not in reference.get(target, "")
            if "://" not in link and (target not in reference or lost):
                broken.add(f"{page.stem}: {link}")
    assert not broken


def test_no_reference_is_missing(reference: dict[Path, str]):
    """A text that names a class, or something of a package, is linked to it."""
    missing = set()
    for page, text in reference.items():
        for name in re.findall(r"<code>([A-Za-z_][\w.]*)(?:\(\))?</code>", text):
            first, *members = name.split(".")
            if members and members[-1] in FILES:
                continue
            is_class = re.fullmatch(r"[A-Z]+[a-z]\w*[A-Z]\w*", first)
            if (is_class and not hasattr(builtins, first)) or (members and first in OURS):
                missing.add(f"{page.stem}: {name}")
    assert not missing
