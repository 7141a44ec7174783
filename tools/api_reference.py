"""The reference of all public names as pages: `python tools/api_reference.py outputs/docs`.

A page for the front door, for each package with public names, and for each part that a command
finds by its name, with the classes that it builds on. `make docs` does the same.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import warnings
from pathlib import Path
from typing import Any, get_type_hints

import pdoc
from pdoc import doc, render

import leopart_kit
from leopart_kit.cli.declared import PACKAGES
from leopart_kit.parts import find_part, list_parts

_CODE = re.compile(r"<code>([A-Za-z_][\w.]*)(\(\))?</code>")
_LINK = re.compile(r'<a href="([^"#:]*)#([A-Za-z_][\w.]*)">([^<]*)</a>')
_ANCHOR = re.compile(r'id="([A-Za-z_][\w.]*)"')
_plain_text = doc.formatannotation  # pyright: ignore[reportPrivateImportUsage]


def documented_modules() -> list[str]:
    """Names of the modules that have a page, ascending."""
    found = {leopart_kit.__name__, *public_packages()}
    for group in ("dataset", "method", "protocol"):
        parts = [find_part(PACKAGES[group], name, group) for name in list_parts(PACKAGES[group])]
        found |= {base.__module__ for part in parts for base in part.__mro__}
    return sorted(name for name in found if name.split(".")[0] == "leopart_kit")


def public_packages() -> list[str]:
    """Packages that have an `__all__`."""
    modules = pkgutil.walk_packages(leopart_kit.__path__, "leopart_kit.")
    names = [module.name for module in modules if module.ispkg]
    return [name for name in names if hasattr(importlib.import_module(name), "__all__")]


def write_reference(folder: Path) -> None:
    """Write the pages of all documented modules, an index of them, and links between them."""
    for name in leopart_kit.__all__:
        getattr(leopart_kit, name)  # they are imported when they are asked for
    doc.formatannotation = _type_text  # pyright: ignore[reportPrivateImportUsage]
    render.configure(
        docformat="google", show_source=False, footer_text=f"leopart_kit {leopart_kit.__version__}"
    )
    with warnings.catch_warnings():
        # Of types that are imported for a type checker alone; they stand as they are written.
        warnings.filterwarnings("ignore", category=UserWarning, module="pdoc.doc_types")
        # pdoc takes a file that is named as what a package gives for a part of that package.
        named = {f"{m}.{name}" for m in public_packages() for name in sys.modules[m].__all__}
        documented = set(documented_modules())
        chosen = [*(documented - named), *(f"!^{name}$" for name in named - documented)]
        pdoc.pdoc(*sorted(chosen), output_directory=folder)
    link_pages(folder)


def _type_text(annotation: Any) -> str:
    """A type in words, without the ranges of a setting, which are long there."""

    def typed() -> None: ...

    typed.__annotations__ = {"it": annotation}
    return _plain_text(get_type_hints(typed)["it"])


def link_pages(folder: Path) -> None:
    """Link what a text names and another page holds; unlink what no page holds.

    pdoc links what a module knows by itself, also to members of a base class without words. Here
    `Result`, `Encoder.patch_tokens` and `losses.leopart_loss` are found from everywhere.
    """
    pages = [folder / "leopart_kit.html", *sorted((folder / "leopart_kit").rglob("*.html"))]
    places: dict[str, str] = {}
    for page in sorted(pages, key=lambda page: len(page.parts)):  # packages before their files
        place = page.relative_to(folder)
        modules = place.with_suffix("").parts
        for anchor in _ANCHOR.findall(page.read_text()):
            for start in range(len(modules) + 1):
                places[".".join([*modules[start:], anchor])] = f"{place.as_posix()}#{anchor}"
    held = {page.resolve(): {*_ANCHOR.findall(page.read_text())} for page in pages}
    for page in pages:
        up = "../" * (len(page.relative_to(folder).parts) - 1)

        def link(found: re.Match[str], up: str = up) -> str:
            name, call = found[1], found[2] or ""
            if name not in places or not is_reference(name):
                return found[0]
            return f'<code><a href="{up}{places[name]}">{name}{call}</a></code>'

        def known(found: re.Match[str], page: Path = page) -> str:
            target = (page.parent / found[1]).resolve() if found[1] else page.resolve()
            return found[0 if found[2] in held.get(target, ()) else 3]

        page.write_text(_CODE.sub(link, _LINK.sub(known, page.read_text())))


def is_reference(name: str) -> bool:
    """A name in a text that is no word of its own, such as `train`."""
    return not name.islower() or not name.isalpha()


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]))
