"""Settings: declared once in a class, checked when one is made, named in every error.

A class under `@settings` says of each number its type, range, default and, in the string below it,
a line of words. Command lines, their help, their checks and the record of a run are made from it.

    @settings
    class MyProtocol:
        temperature: Positive = 0.1
        \"\"\"Of the softmax.\"\"\"
"""

from __future__ import annotations

import ast
import difflib
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, cast, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass, is_pydantic_dataclass
from pydantic.fields import FieldInfo
from typing_extensions import dataclass_transform

from leopart_kit.faults_in_words import in_words, place
from leopart_kit.parts import find_part, import_named, list_parts

T = TypeVar("T")

_MOST_SEEDS = 1000
_CONFIG = ConfigDict(
    strict=True,
    extra="forbid",
    allow_inf_nan=False,
    arbitrary_types_allowed=True,
)


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def settings(cls: type[T]) -> type[T]:
    """A frozen dataclass whose values are checked against the types and ranges of its fields.

    Making one raises ValueError, in one line, for a value of another type or out of range. Types
    are strict: `true` is no number and `"3"` no whole number. Lists become tuples.
    """
    made = cast(type[T], dataclass(frozen=True, config=_CONFIG)(cls))
    check, own = made.__init__, inspect.signature(made)

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            check(self, *args, **kwargs)
        except ValidationError as error:
            raise ValueError(_first_problem(error, cls)) from None

    # Names and defaults as they are written; types stand with the fields.
    shown = [p.replace(annotation=inspect.Parameter.empty) for p in own.parameters.values()]
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    init.__dict__["__signature__"] = inspect.Signature([itself, *shown])
    made.__init__ = init
    return made


def _number_as_text(value: object) -> object:
    """A number where a text is wanted is a name made of digits, such as the folder `2012`."""
    return str(value) if type(value) in (int, float) else value


def _path_text(value: object) -> object:
    text = _number_as_text(value)
    if isinstance(text, str) and (not text.strip() or "\0" in text):
        raise ValueError(f"must be a path, got {text!r}")
    return text


def _ordered(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    if pair[0] > pair[1]:
        raise ValueError(f"must be [low, high], got {list(pair)}")
    return pair


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"must be distinct, got {list(values)}")
    return values


def _counted(value: object) -> object:
    return tuple(range(value)) if type(value) is int and value <= _MOST_SEEDS else value


# What fields are made of. Whole numbers and real ones, then shares of 1, texts and lists.
Count = Annotated[int, Field(ge=1)]
"""A whole number from 1."""
Whole = Annotated[int, Field(ge=0)]
"""A whole number from 0."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""Start of the random numbers."""
Positive = Annotated[float, Field(gt=0)]
"""A number above 0."""
Temperature = Annotated[float, Field(ge=1e-6)]
"""Divisor of cosine similarities in a softmax, from 1e-6: float32 tells no finer ones apart."""
NotNegative = Annotated[float, Field(ge=0)]
"""A number from 0."""
Share = Annotated[float, Field(gt=0, le=1)]
"""A part of a whole: above 0, at most 1."""
Probability = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1."""
DropRate = Annotated[float, Field(ge=0, lt=1)]
"""A share that is dropped at random."""
Percent = Annotated[float, Field(ge=0, le=100)]
"""A rate in percent."""
Text = Annotated[str, BeforeValidator(_number_as_text), Field(min_length=1)]
"""A name or path; one that is made of digits may be given as a number."""
PathText = Annotated[Path | str, BeforeValidator(_path_text)]
"""A path, given as such or as text."""
Size = Annotated[tuple[Count, Count], Field(strict=False)]
"""Height and width in pixels or patches."""
ShareRange = Annotated[tuple[Share, Share], Field(strict=False), AfterValidator(_ordered)]
"""Lowest and highest share, `[low, high]`."""
PositiveRange = Annotated[tuple[Positive, Positive], Field(strict=False), AfterValidator(_ordered)]
"""Lowest and highest value above 0, `[low, high]`."""
Seeds = Annotated[
    tuple[Seed, ...],
    BeforeValidator(_counted),
    Field(strict=False, min_length=1),
    AfterValidator(_distinct),
]
"""Distinct seeds, at least one; a number n stands for 0 to n - 1."""
Positives = Annotated[
    tuple[Positive, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)
]
"""Distinct numbers above 0, at least one."""
Counts = Annotated[tuple[Count, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)]
"""Distinct whole numbers from 1, at least one."""
Shares = Annotated[tuple[Share, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)]
"""Distinct parts of a whole, at least one."""
NotNegatives = Annotated[
    tuple[NotNegative, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)
]
"""Distinct numbers from 0, at least one."""


def several(kind: Any, at_least: int = 1) -> Any:
    """The type of a list of distinct values of one kind."""
    listed = Field(strict=False, min_length=at_least)
    return Annotated[tuple[kind, ...], listed, AfterValidator(_distinct)]


@plain_dataclass(frozen=True)
class Group:
    """Mark of a field whose node is chosen by name on the command line, such as `encoder`.

    packages: of parts that are found by the `name` in the node, each in the file of its name;
        `custom` is a class of the user's, `factory: package.module:Class`. Empty where the type of
        the field says which class it is.
    """

    packages: tuple[str, ...] = ()


class Setting(NamedTuple):
    """One declared setting.

    kind: its type with its range; default: `REQUIRED` where it must be given; words: what it is.
    """

    name: str
    kind: Any
    default: Any
    words: str


_ALIKE = 0.6  # share of matching letters, as `difflib.get_close_matches` has it

REQUIRED = object()
"""The default of a setting without one."""


def declared(cls: type) -> Iterator[Setting]:
    """The settings of a class under `@settings`, in their order."""
    words = _words(cls)
    for name, info in cast(Any, cls).__pydantic_fields__.items():
        if info.exclude:  # what code hands on, such as a progress bar
            continue
        default = REQUIRED if info.is_required() else info.get_default(call_default_factory=True)
        yield Setting(name, _kind(info), default, words.get(name, ""))


@cache
def _words(cls: type) -> dict[str, str]:
    """The string below each field in the source of a class and of those it is made from."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            node = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except (OSError, TypeError):  # a class without a source file
            continue
        body = cast(ast.ClassDef, node).body
        for field, below in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                text = ast.literal_eval(below.value)
                found[cast(ast.Name, field.target).id] = " ".join(str(text).split())
    return found


def is_settings(kind: Any) -> bool:
    """True for a class under `@settings`."""
    return isinstance(kind, type) and is_pydantic_dataclass(kind)


def group_of(kind: Any) -> Group | None:
    """The mark of a type that comes from a group, None of any other."""
    return next((mark for mark in _flat(kind) if isinstance(mark, Group)), None)


def read_settings(cls: type[T], values: Mapping[str, Any], group: str) -> T:
    """The settings in a mapping, those of parts in mappings inside it.

    Args:
        group: where they stand on the command line, such as `protocol`; errors name
            `protocol.num_clusters`.

    Raises:
        ValueError: an unknown setting, with the nearest known one; one that is missing, of another
            type or out of range.
    """
    known = {setting.name: setting for setting in declared(cls)}
    for name in values:
        if name not in known:
            others = {key: value for key, value in values.items() if key in known}
            deeper = list(_paths_in(others))
            raise ValueError(unknown_setting(str(name), list(known), group, deeper))
    made = {
        name: _read_parts(known[name].kind, value, _join(group, name))
        for name, value in values.items()
    }
    try:
        return cls(**made)
    except ValueError as error:
        message = str(error)
        # What a class says of two settings together need not begin with one of them.
        starts = message.split(maxsplit=1)[0].partition("[")[0].partition(".")[0] in known
        raise ValueError(_join(group, message) if starts else f"{group}: {message}") from None


def read_part(packages: Sequence[str], values: Mapping[str, Any], group: str) -> Any:
    """The part that the `name` among the settings means, made from the rest of them.

    Raises:
        ValueError: no such part, or as `read_settings`.
    """
    options = dict(values)
    name = options.pop("name", None)
    if name is None:
        given, known = ", ".join(options) or "none", ", ".join(list_parts(packages))
        raise ValueError(f"no {group} is chosen (settings given: {given}); choose one of {known}")
    factory = options.pop("factory", None) if name == "custom" else None
    return read_settings(class_of_part(packages, str(name), factory, group), options, group)


def class_of_part(packages: Sequence[str], name: str, factory: str | None, group: str) -> type:
    """The class of settings that a name means, or that the `factory` of `custom` names.

    Raises:
        ValueError: no such part, or no class of settings.
    """
    if name != "custom":
        return find_part(packages, name, group)
    cls = import_named(factory, f"{group}.factory")
    if not is_settings(cls):
        raise ValueError(f"{group}.factory={factory} must be a class under @settings")
    return cls


def unknown_setting(name: str, known: Sequence[str], group: str, deeper: Sequence[str] = ()) -> str:
    """Error text for a setting that does not exist, with the setting that may have been meant.

    Args:
        known: settings of the class.
        deeper: settings inside its parts, as `trainer.max_steps`.
    """
    near = _nearest(name, [*known, *deeper])
    ending = f"did you mean {_join(group, near)}?" if near else f"it has {', '.join(known)}"
    return f"{group or 'the command'} has no setting {name!r}; {ending}"


def _nearest(name: str, paths: Sequence[str]) -> str | None:
    """The path whose last step is most like a name, None if none is like it."""
    if not paths:
        return None

    def likeness(path: str) -> float:
        return difflib.SequenceMatcher(None, name, path.rpartition(".")[2]).ratio()

    best = max(paths, key=likeness)
    return best if likeness(best) > _ALIKE else None


def _paths_in(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from (f"{key}.{path}" for path in (*value, *_paths_in(value)))


def _read_parts(kind: Any, value: Any, group: str) -> Any:
    """A value with its mappings read where classes of settings are wanted."""
    mark = group_of(kind)
    if mark is not None and mark.packages and isinstance(value, Mapping):
        return read_part(mark.packages, value, group)
    wanted = next((k for k in _flat(kind) if is_settings(k)), None)
    if wanted is None or value is None or is_settings(type(value)):
        return value
    if _holds_mapping_of(kind, wanted):
        if not isinstance(value, Mapping):
            raise ValueError(f"{group} must be a mapping, got {value!r}")
        return {key: _read_one(wanted, item, f"{group}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_read_one(wanted, item, f"{group}[{i}]") for i, item in enumerate(value))
    return _read_one(wanted, value, group)


def _read_one(cls: type[T], value: Any, group: str) -> T:
    if is_settings(type(value)):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"{group} must be a mapping of settings, got {value!r}")
    return read_settings(cls, value, group)


def _flat(kind: Any) -> Iterator[Any]:
    """A type and all types inside it."""
    yield kind
    for inner in get_args(kind):
        yield from _flat(inner)


def _holds_mapping_of(kind: Any, wanted: type) -> bool:
    return any(
        getattr(k, "__origin__", None) is dict and wanted in get_args(k) for k in _flat(kind)
    )


def _kind(info: FieldInfo) -> Any:
    """The type of a field with what pydantic took out of its annotation."""
    if not info.metadata:
        return info.annotation
    return Annotated[(info.annotation, *info.metadata)]  # type: ignore[return-value]


def _join(group: str, name: str) -> str:
    return f"{group}.{name}" if group else name


def _first_problem(error: ValidationError, cls: type) -> str:
    """The first wrong setting in one line; of a choice of types, all that would be right."""
    items = error.errors()
    first = items[0]
    if not first["loc"]:
        return in_words(first)
    start = first["loc"][0]
    # Values that were given without a name are numbered.
    name = list(cast(Any, cls).__pydantic_fields__)[start] if isinstance(start, int) else start
    if first["type"] == "unexpected_keyword_argument":
        return unknown_setting(str(start), [one.name for one in declared(cls)], cls.__name__)
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return f"{name} is not set"
    # Of the branches of a union, those count that fit the value best: they look deepest into it.
    own = [item for item in items if item["loc"][0] == start]
    first = max(own, key=lambda item: place(item).count("["))
    where = place(first)
    same = [item for item in own if place(item) == where]
    wanted = " or ".join(dict.fromkeys(in_words(item) for item in same))
    got = "" if first["type"] == "value_error" else f", got {first['input']!r}"
    return f"{name}{where} {wanted.replace(' or must be ', ' or ')}{got}"
