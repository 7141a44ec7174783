"""The toolkit on a device that is not the host, without one: see `device.py`.

Cases run in a process of their own: the device would be there for all later tests.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

from tests.training.test_training_resume import environment

FOLDER = Path(__file__).parent


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this version of torch lets no device be written in Python",
)
@pytest.mark.parametrize("cases", sorted(p.name for p in FOLDER.glob("cases_of_*.py")))
def test_all_cases_pass(cases: str):
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, FOLDER / cases],
        env=environment(),
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-8000:]


def calls(name: str) -> list[tuple[Path, ast.Call]]:
    """Calls of `module.name` in the toolkit and its tools."""
    found = []
    for folder in ("leopart_kit", "tools"):
        for path in sorted((FOLDER.parents[1] / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
            found += [(path, node) for node in nodes if ast.unparse(node.func) == name]
    return found


def test_tensors_of_files_come_to_the_host_wherever_they_were_saved():
    loads = calls("torch.load")
    assert loads
    for path, call in loads:
        assert "map_location" in {word.arg for word in call.keywords}, f"{path}:{call.lineno}"


def test_no_process_takes_the_cores_of_the_whole_machine():
    assert not calls("os.cpu_count") + calls("multiprocessing.cpu_count")
