"""A method's parameter groups on their way into the optimiser."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn

from leopart_kit.methods.method import ParameterGroup


def check_parameter_groups(method: nn.Module, groups: list[ParameterGroup]) -> None:
    """Raise ValueError unless each trainable parameter of `method` is in exactly one group."""
    listed = Counter(id(p) for group in groups for p in group.parameters)
    trainable = {id(p): name for name, p in method.named_parameters() if p.requires_grad}
    missing = [name for key, name in trainable.items() if key not in listed]
    repeated = [name for key, name in trainable.items() if listed[key] > 1]
    if missing:
        raise ValueError(
            f"{type(method).__name__}.parameter_groups() leaves out {_few(missing)}; "
            "list them or set requires_grad=False"
        )
    if repeated:
        raise ValueError(
            f"{type(method).__name__}.parameter_groups() lists twice: {_few(repeated)}"
        )
    if not trainable:
        raise ValueError(f"{type(method).__name__} has no parameter that requires a gradient")
    if set(listed) - set(trainable):
        raise ValueError(
            f"{type(method).__name__}.parameter_groups() lists parameters that are frozen or not "
            "its own"
        )


def adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) with torch's default betas; fused, also on the CPU."""
    return torch.optim.AdamW(groups, fused=True)


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
