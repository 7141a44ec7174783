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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "clear its outputs"
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    outputs = [output for cell in code for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 1
    assert len(re.findall(r"\d+\.\d", printed)) >= 3


def test_there_are_two():
    assert len(NOTEBOOKS) == 2
