"""Sources of weights: a file, the local cache, the hub that timm uses, or a random seed."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import timm
import torch
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

logger = logging.getLogger(__name__)

_FILE_NAMES = ("model.safetensors", "pytorch_model.bin")


def hub_weights(timm_name: str | None, encoder_name: str, release: str = "") -> tuple[Path, str]:
    """Weight file of a timm model, from the local cache or else the hub, and its source in words.

    Raises `FileNotFoundError` when there is neither; the message says how to give a file instead.
    """
    repository = None if timm_name is None else _repository(timm_name)
    if repository is None:
        raise FileNotFoundError(_advice(encoder_name, "timm serves none", release))
    cached = _download(repository, local_only=True)
    if isinstance(cached, Path):
        return cached, f"timm hub: {repository}"
    logger.info("fetching %s from the hub (once; it is then in the local cache)", repository)
    fetched = _download(repository, local_only=False) if _hub_answers() else "no connection"
    if isinstance(fetched, Path):
        return fetched, f"timm hub: {repository}"
    raise FileNotFoundError(
        _advice(encoder_name, f"not in the local cache and the hub gave none ({fetched})", release)
    )


def shipped_weights(file_name: str) -> tuple[Path, str]:
    """Weight file that is part of the package, and its source in words.

    Raises `FileNotFoundError` where the package was installed without it.
    """
    path = Path(str(resources.files("leopart_kit.backbones"))) / "shipped" / file_name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing from this installation: install leopart-kit anew, or train the "
            "encoder with `make demo-encoder` in a clone"
        )
    return path, f"shipped: {file_name}"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw random weights from `seed` and leave torch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _repository(timm_name: str) -> str | None:
    config = timm.get_pretrained_cfg(timm_name, allow_unregistered=True)
    return config.hf_hub_id if config is not None and config.hf_hub_id else None


def _download(repository: str, local_only: bool) -> Path | str:
    """Path of the weight file, or why there is none."""
    reason = "no weight file in it"
    for file_name in _FILE_NAMES:
        try:
            return Path(hf_hub_download(repository, file_name, local_files_only=local_only))
        except LocalEntryNotFoundError:
            reason = "no connection to the hub"
            if not local_only:
                return reason
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, OSError, RuntimeError) as error:
            return str(error).splitlines()[0] if str(error) else type(error).__name__
    return reason


def _hub_answers() -> bool:
    """One quick request: the hub's client would try again for most of a minute."""
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        with urllib.request.urlopen(constants.ENDPOINT, timeout=10):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _advice(encoder_name: str, problem: str, release: str) -> str:
    where = f" (the authors publish it at {release})" if release else ""
    return (
        f"{encoder_name}: no weights, {problem}. Download the file{where} and give "
        "encoder.weights=FILE, or encoder.weights=random for an untrained network"
    )
