"""Where the configuration lies, and how a command runs: compose, build, call, fail in one line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from leopart_kit.backbones import list_encoders

PACKAGE = Path(__file__).parents[1]


def _folder(name: str) -> Path:
    """`configs` or `eval`: inside the installed package, or beside it in a clone."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def register_configs() -> None:
    """Make every named encoder an option of the group `encoder`, and eval/ a search path."""
    OmegaConf.register_new_resolver("leopart_eval_dir", lambda: str(_folder("eval")), replace=True)
    store = ConfigStore.instance()
    for name in list_encoders():
        node = {"name": name, "weights": "auto", "block": -1, "facet": "token"}
        store.store(group="encoder", name=name, node=node)


def run_command(config_name: str, task: Callable[[DictConfig, Path], None]) -> None:
    """Compose the configuration from the command line and call `task(config, output_dir)`.

    A user's mistake ends the program with one line on standard error and exit code 1; anything
    else keeps its traceback, since it is a mistake of ours.
    """
    register_configs()
    # Hydra would shorten tracebacks and print errors in its own way.
    os.environ["HYDRA_FULL_ERROR"] = "1"

    def body(config: DictConfig) -> None:
        task(config, Path(HydraConfig.get().runtime.output_dir))

    command = hydra.main(
        version_base="1.3", config_path=str(_folder("configs")), config_name=config_name
    )(body)
    try:
        command()
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        logging.getLogger(__name__).debug("failed", exc_info=error)
        sys.exit(f"error: {_one_line(error)}")
    except KeyboardInterrupt:
        sys.exit("interrupted; run the same command again to go on")


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    return " ".join(str(error).split())
