"""Published figures beside a result, with the settings that are not those of their benchmark."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from leopart_kit.cli.build import build_benchmark
from leopart_kit.cli.config import compose_command
from leopart_kit.evaluation import Benchmark
from leopart_kit.identity import HOW_MEASURED, Identity, determining

_NOT_COMPARED = ("encoder", "benchmark", "identity")  # what is measured, and what is said of it
_OF_PREDICTIONS = ("dataset",)  # which were made elsewhere, by a protocol of their own


def published_beside(config: DictConfig) -> Benchmark | None:
    """The published figures of the group `benchmark`, if one was chosen, for this run."""
    benchmark = build_benchmark(config.get("benchmark"))
    return None if benchmark is None else replace(benchmark, changed=_changed(config, benchmark))


def _changed(config: DictConfig, benchmark: Benchmark) -> dict[str, tuple[Any, Any]]:
    """Settings that determine a result: by name, those of the benchmark's file and of the run."""
    try:
        asked = compose_command("eval_segmentation", [f"benchmark={benchmark.name}"])
    except HydraException:  # of the user's own, in a file of another name
        return {}
    theirs, own = _determining(asked), _determining(config)
    if config.protocol.name == "predictions":
        theirs, own = ({g: part[g] for g in _OF_PREDICTIONS} for part in (theirs, own))
    of_file, of_run = (dict(Identity.of(**parts).values) for parts in (theirs, own))
    return {
        name: (of_file.get(name), of_run.get(name))
        for name in dict.fromkeys([*of_run, *of_file])
        if of_file.get(name) != of_run.get(name)
    }


def _determining(config: DictConfig) -> dict[str, Any]:
    values = OmegaConf.to_container(config, resolve=True)  # the root of the data may not be set
    kept = {str(k): v for k, v in values.items() if k not in _NOT_COMPARED}  # type: ignore[union-attr]
    return determining(kept, HOW_MEASURED)
