"""An encoder that a function or class of the user's makes, named on a command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from leopart_kit.backbones.encoder import Encoder
from leopart_kit.backbones.function_encoder import FunctionEncoder
from leopart_kit.backbones.precision import Precision
from leopart_kit.parts import import_named


def make_custom(
    factory: str | None, options: Mapping[str, object], precision: Precision
) -> Encoder:
    """Call the user's factory, `package.module:function`, and make an encoder of what it returns.

    Raises:
        ValueError: it cannot be imported, returns something that is no encoder, or one that knows
            no precision but fp32.
    """
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise ValueError(f"encoder.factory_options={options!r} must be names with values")
    make = import_named(factory, "encoder.factory")
    knows_precision = "precision" in _parameters(make)
    if knows_precision:
        options = {"precision": precision, **options}
    made = make(**options)
    if not isinstance(made, Encoder):
        if not callable(made):
            raise ValueError(
                f"encoder.factory={factory} returned a {type(made).__name__}: return "
                "Encoder.from_module(fn, patch_size, embed_dim, mean, std)"
            )
        made = Encoder.from_module(made)
    if isinstance(made, FunctionEncoder):
        made.name = str(factory)
    if precision != "fp32" and not knows_precision:
        made.run_in(precision)
    return made


def _parameters(make: Callable[..., object]) -> Mapping[str, object]:
    try:
        return inspect.signature(make).parameters
    except ValueError:  # written in C
        return {}
