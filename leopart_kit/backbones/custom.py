"""Encoders that a user's own function makes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from leopart_kit.backbones.encoder import Encoder


def custom_encoder(factory: str | None, options: Mapping[str, object]) -> Encoder:
    """Call the user's factory, `package.module:function`, and make an encoder of what it returns.

    Raises `ValueError` if it cannot be imported or returns something that is no encoder.
    """
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise ValueError(f"encoder.factory_options={options!r} must be names with values")
    made = _import_factory(factory)(**options)
    if isinstance(made, Encoder):
        return made
    if not callable(made):
        raise ValueError(
            f"encoder.factory={factory} returned a {type(made).__name__}: return "
            "Encoder.from_module(fn, patch_size, embed_dim, mean, std)"
        )
    return Encoder.from_module(made)


def _import_factory(factory: str | None) -> Callable[..., Any]:
    module_name, colon, function = str(factory or "").partition(":")
    if not (module_name and colon and function):
        raise ValueError(
            f"encoder.factory={factory}: encoder=custom needs "
            "encoder.factory=package.module:function"
        )
    if os.getcwd() not in sys.path:  # console scripts do not look where the user stands
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(
            f"encoder.factory={factory}: cannot import {module_name} ({error}); run where it can "
            "be imported or set PYTHONPATH"
        ) from error
    if not callable(getattr(module, function, None)):
        raise ValueError(f"encoder.factory={factory}: {module_name} has no function {function!r}")
    return getattr(module, function)
