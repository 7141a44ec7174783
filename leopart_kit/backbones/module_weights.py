"""Weights into a module: all that it has and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from leopart_kit.backbones.weight_tensors import shown, value_fault


def fill_module(module: nn.Module, weights: Mapping[str, object]) -> None:
    """Copy tensors into the parameters and buffers of their names.

    Raises:
        ValueError: the first that is missing, is not in the module, has another shape, or holds no
            finite numbers; the module is then as it was.
    """
    own = module.state_dict()
    missing = [key for key in own if key not in weights]
    strange = [key for key in weights if key not in own]
    for keys, fault in ((missing, "is missing"), (strange, "is not in the network")):
        if keys:
            more = f", and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise ValueError(f"{shown(str(keys[0]))} {fault}{more}")
    for key, value in weights.items():
        fault = _fault(value, own[key])
        if fault:
            raise ValueError(f"{shown(key)} {fault}")
    module.load_state_dict(dict(weights))


def _fault(value: object, wanted: object) -> str | None:
    if not isinstance(value, Tensor) or not isinstance(wanted, Tensor):
        return f"is a {type(value).__name__}, no tensor"
    if value.shape != wanted.shape:
        return f"has the shape {list(value.shape)}, not {list(wanted.shape)}"
    if value.is_floating_point() != wanted.is_floating_point():
        return f"is {value.dtype}, not {wanted.dtype}".replace("torch.", "")
    return value_fault(value)
