"""The notebooks run from top to bottom and show pictures and figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
NOTEBOOKS = sorted((REPOSITORY / "eval" / "notebooks").glob("*.ipynb"))

nbformat = pytest.importorskip("nbformat", reason="jupyter is not installed: pip install -e .[dev]")
nbclient = pytest.importorskip("nbclient", reason="jupyter is not installed: pip install -e .[dev]")
pytest.importorskip("ipykernel", reason="jupyter is not installed: pip install -e .[dev]")


def test_the_notebooks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One after the other in one kernel, which forgets all names between them."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebooks = [nbformat.read(path, as_version=4) for path in NOTEBOOKS]
    forget = "%reset -f"
    cells = [c for n in notebooks for c in (*n.cells, nbformat.v4.new_code_cell(forget))]
    assert not any(cell.get("outputs") for cell in cells), "clear its outputs"
    client = nbclient.NotebookClient(
        nbformat.v4.new_notebook(cells=cells),
        timeout=1800,
        kernel_name="python3",
        resources={"metadata": {"path": tmp_path}},
    )
    client.execute()
    for notebook in notebooks:
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        printed = "".join(output.text for output in outputs if output.output_type == "stream")
        pictures = [output for output in outputs if "image/png" in output.get("data", {})]
        assert len(pictures) == 1
        assert len(re.findall(r"\d+\.\d", printed)) >= 3


def test_there_are_two():
    assert len(NOTEBOOKS) == 2
