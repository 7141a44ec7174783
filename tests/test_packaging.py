"""What `pip install` brings along."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "leopart_kit"
DATA = {"leopart_kit/configs": REPOSITORY / "configs", "leopart_kit/eval": REPOSITORY / "eval"}


def declared() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def files(folder: Path, *endings: str) -> set[str]:
    """Files below a folder, relative to it; `endings` chooses among them."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in endings
    }


def test_console_scripts_exist():
    for target in declared()["project"]["scripts"].values():
        module, _, function = target.partition(":")
        spec = importlib.util.find_spec(module)
        assert spec is not None, f"{target}: no such module"
        assert spec.origin is not None
        assert f"def {function}(" in Path(spec.origin).read_text(), target


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in a wheel of this tree, built without a network in a copy of it."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not in this environment: no wheel can be built offline")
    copy = tmp_path_factory.mktemp("tree")
    for folder in ("leopart_kit", "configs", "eval"):
        shutil.copytree(
            REPOSITORY / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w"]
    built = subprocess.run(
        [*command, str(copy / "out"), str(copy)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    (path,) = (copy / "out").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_a_wheel_holds_every_module_template_and_configuration(wheel: set[str]):
    endings = (".py", ".html", ".css", ".jinja", ".safetensors")
    wanted = {f"leopart_kit/{file}" for file in files(PACKAGE, *endings)}
    for name, folder in DATA.items():
        wanted |= {f"{name}/{file}" for file in files(folder, ".yaml")}
    assert sorted(wanted - wheel) == []


def test_a_wheel_holds_nothing_else_at_the_top(wheel: set[str]):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"leopart_kit"}


def test_an_editable_install_is_found_beside_its_clone(tmp_path: Path):
    """Python run in the folder that holds the clone: the clone is no package of that name."""
    pytest.importorskip("hatchling")
    clone, site = tmp_path / "leopart_kit", tmp_path / "site"
    clone.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, clone / name)
    for name in ("leopart_kit", "configs", "eval"):
        (clone / name).symlink_to(REPOSITORY / name)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(site), "-e", str(clone)], check=True)
    (paths,) = (path.read_text().split() for path in site.glob("*.pth"))
    found = subprocess.run(
        [sys.executable, "-S", "-c", "import leopart_kit; print(leopart_kit.__version__)"],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(["", *paths])},
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == "0.1.0", found.stderr
