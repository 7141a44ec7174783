"""The toolkit on a device that is not the host, without one: see `device.py`.

Cases run in a process of their own: the device would be there for all later tests.
"""

from __future__ import annotations

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
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-8000:]
