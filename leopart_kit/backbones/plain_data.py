"""Names that a training checkpoint may hold beside its tensors without being refused.

Checkpoints keep random states, arguments and paths. Nobody reads them here, so each becomes an
empty stand-in: the weights load, and neither the objects' own code nor any other runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class PlainData:
    """Stands for an object of a checkpoint that is no tensor; takes and keeps nothing."""

    def __new__(cls, *_: object) -> PlainData:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


class NumpyData(PlainData):
    """Stands for an array, a number or a random state of NumPy."""


def _plain_dict(*_: object) -> dict[Any, Any]:
    """Stands for `defaultdict`, whose factory would be code."""
    return {}


def stand_ins() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Pairs for `torch.serialization.safe_globals`: a stand-in, and what it stands for."""
    return [
        *((NumpyData, name) for name in _numpy_names()),
        *((PlainData, name) for name in _python_names()),
        (_plain_dict, "collections.defaultdict"),
    ]


def _numpy_names() -> list[str]:
    kinds = {kind.__name__ for kind in np.sctypeDict.values()}
    kinds |= {"bool", "bool_", "str_", "string_", "unicode_", "bytes_", "float_", "int_"}
    random = ("__randomstate_ctor", "__generator_ctor", "__bit_generator_ctor")
    generators = ("mt19937.MT19937", "pcg64.PCG64", "pcg64.PCG64DXSM", "philox.Philox")
    seeds = ("SeedSequence", "ISeedSequence", "SeedlessSeedSequence")
    return [
        *(f"numpy.{name}" for name in (*sorted(kinds), "dtype", "ndarray")),
        *(f"numpy.dtypes.{name}" for name in vars(np.dtypes) if name.endswith("DType")),
        *(
            f"numpy.{core}.{name}"  # NumPy 1 and 2
            for core in ("core", "_core")
            for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
        ),
        *(f"numpy.random._pickle.{name}" for name in random),
        *(f"numpy.random._{name}" for name in (*generators, "sfc64.SFC64")),
        *(f"numpy.random.bit_generator.{name}" for name in seeds),
        "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
    ]


def _python_names() -> list[str]:
    paths = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
    types = ("list", "dict", "tuple", "str", "int", "float", "bool", "bytes", "slice", "range")
    return [
        *(f"pathlib{inner}.{name}" for inner in ("", "._local") for name in paths),
        *(f"builtins.{name}" for name in (*types, "frozenset")),
        *(f"datetime.{name}" for name in ("datetime", "date", "time", "timedelta", "timezone")),
        *("argparse.Namespace", "types.SimpleNamespace", "decimal.Decimal", "fractions.Fraction"),
    ]
