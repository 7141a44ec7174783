"""Files of the package that a call or a command passes through.

    python -m tests.trips NAME DIR    prints those of one trip, run with its data and output in DIR

A file counts if one of its functions is called. Importing it does not count.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType
from typing import Any

from leopart_kit.data.scenes import SceneGenerator, write_voc

REPOSITORY = Path(__file__).parents[1]
PACKAGE = f"{REPOSITORY / 'leopart_kit'}/"

SIZE = (32, 32)


def evaluate(folder: Path) -> Callable[[], object]:
    """`leopart_kit.evaluate`, with an encoder and a data set that are there already."""
    from leopart_kit import Overclustering, load_dataset, load_encoder
    from leopart_kit import evaluate as called

    dataset = load_dataset("voc", folder, "val")
    encoder = load_encoder("handcrafted")
    protocol = Overclustering(num_clusters=4, resolution=SIZE, seeds=(0,))
    return lambda: called(encoder, dataset, protocol)


def evaluation_command(folder: Path) -> Callable[[], object]:
    """`leopart-eval`, from its words to its page."""
    from leopart_kit.cli.eval_segmentation import main

    words = ["protocol.num_clusters=4", "protocol.resolution=[32,32]", "protocol.seeds=[0]"]
    return _command(main, folder, ["encoder=handcrafted", *words])


def training_command(folder: Path) -> Callable[[], object]:
    """`leopart-train`, from its words to its page."""
    from leopart_kit.cli.train import main

    words = ["encoder=vits16", "encoder.weights=random", "trainer.max_steps=1", "batch_size=2"]
    views = ["views.global_size=32", "views.local_size=32", "views.num_local=1"]
    return _command(main, folder, [*words, *views, "trainer.warmup_steps=0"])


def _command(main: Callable[[], object], folder: Path, words: list[str]) -> Callable[[], object]:
    data = ["dataset=voc", f"dataset.root={folder}"]
    sys.argv = [sys.argv[0], *data, *words, f"output_dir={folder / 'out'}"]
    return main


TRIPS = {
    "evaluate": evaluate,
    "leopart-eval": evaluation_command,
    "leopart-train": training_command,
}


def files_passed(trip: str, folder: Path) -> list[str]:
    """Files of the package that a trip passes, run in a process of its own."""
    write_voc(folder, SceneGenerator(SIZE), {"train": 4, "val": 4})
    command = [sys.executable, "-m", "tests.trips", trip, str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1].split()


def passed_by(call: Callable[[], object]) -> list[str]:
    """Files of the package of which a call calls a function."""
    passed = set()

    def see(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        is_function = event == "call" and code.co_flags & CO_OPTIMIZED
        name = code.co_filename
        if is_function and name.startswith(PACKAGE) and name.endswith(".py"):  # no templates
            passed.add(name.removeprefix(PACKAGE))

    threading.setprofile(see)
    sys.setprofile(see)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return sorted(passed)


if __name__ == "__main__":
    print(*passed_by(TRIPS[sys.argv[1]](Path(sys.argv[2]))))
