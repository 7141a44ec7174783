"""`--help` of a command: what it does, what can be chosen, and every setting with its words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from omegaconf import DictConfig, OmegaConf
from pydantic.fields import FieldInfo

from leopart_kit.cli.declared import node_of
from leopart_kit.settings import class_of_part, declared, group_of, is_settings

WIDTH = 100
_INDENTED: dict[str, Any] = {"initial_indent": " " * 6, "subsequent_indent": " " * 6}
_WORDS_FOR = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    NoneType: "null",
}


def help_page(cls: type, config: DictConfig, template: str) -> str:
    """The page of a command.

    Args:
        cls: its settings.
        config: the configuration that the command line has composed so far; what was chosen in it
            decides whose settings are shown.
        template: the text around them, with `$CONFIG` in their place.
    """
    values = OmegaConf.to_container(config, resolve=False)
    lines = "\n".join(_listing(cls, values, ""))  # type: ignore[arg-type]
    return template.replace("$CONFIG", lines)


def describe_kind(kind: Any) -> str:
    """A type with its range in words."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return describe_kind(args[0]) + _range(list(_flat(args[1:])))
    if origin in (Union, UnionType):
        said = dict.fromkeys(describe_kind(arg) for arg in args)
        return " or ".join(word for word in said if word != "Path")
    if origin is Literal:
        return " | ".join(str(arg) for arg in args)
    if origin is tuple:
        return f"list of: {describe_kind(args[0])}" if args[1:] == (...,) else "list of two"
    if origin is dict or (isinstance(kind, type) and is_settings(kind)):
        return "mapping"
    return _WORDS_FOR.get(kind, getattr(kind, "__name__", "any value"))


def _listing(
    cls: type, values: Mapping[str, Any], group: str, known: bool = False
) -> Iterator[str]:
    """Settings in their order, then those of the parts, each under a heading.

    The words of a class stand once: where they are `known`, its values follow alone.
    """
    inner: list[tuple[str, type, Any, str, bool]] = []
    for setting in declared(cls):
        name, value = f"{group}{setting.name}", values.get(setting.name)
        part = _class_of(setting.kind, value, name)
        if part is not None and isinstance(value, Mapping):
            heading = setting.words or _first_sentence(part)
            named = {name: value}
            if _is_mapping(setting.kind):
                named = {f"{name}.{key}": item for key, item in value.items()}
            inner += [(n, part, v, heading, i > 0) for i, (n, v) in enumerate(named.items())]
        elif group_of(setting.kind) is None:
            yield f"  {name}={_shown(value)}"
            said = f"{describe_kind(setting.kind)}. {setting.words}"
            yield from [] if known else [textwrap.fill(said, WIDTH, **_INDENTED)]
            entry = _class_of_entries(setting.kind)
            if entry is not None:
                inner.append((f"{name}.NAME", entry, node_of(entry), _first_sentence(entry), False))
    for name, part, value, heading, repeated in inner:
        chosen = f"={value['name']}" if value.get("name") else ""
        yield "\n" + textwrap.fill(f"{name}{chosen}: {heading}", WIDTH)
        if chosen == "=custom":  # of which the node knows what was given alone
            value = {**node_of(part), **value}
        yield from _listing(part, value, f"{name}.", repeated)


def _class_of(kind: Any, value: Any, setting: str) -> type | None:
    """The class of settings that a mapping stands for; of `custom`, once its factory is given."""
    group = group_of(kind)
    if group is not None and group.packages:
        chosen = value if isinstance(value, Mapping) else {}
        name, factory = chosen.get("name"), chosen.get("factory")
        if name is None or (name == "custom" and factory in (None, "???")):
            return None
        return class_of_part(group.packages, name, factory, setting)
    return next((k for k in (kind, *get_args(kind)) if is_settings(k)), None)


def _class_of_entries(kind: Any) -> type | None:
    """The class of settings of each entry, where there may be a mapping of them or none."""
    inner = [arg for k in get_args(kind) if get_origin(k) is dict for arg in get_args(k)]
    return next((arg for arg in inner if is_settings(arg)), None)


def _is_mapping(kind: Any) -> bool:
    return any(get_origin(k) is dict for k in (kind, *get_args(kind)))


def _first_sentence(cls: type) -> str:
    return (cls.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(_shown(item) for item in value)}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def _range(marks: list[Any]) -> str:
    bounds = ""
    for mark in marks:
        match mark:
            case Ge(ge=bound):
                bounds += f" from {bound}"
            case Gt(gt=bound):
                bounds += f" above {bound}"
            case Le(le=bound):
                bounds += f" to {bound}"
            case Lt(lt=bound) if bound != 2**63:
                bounds += f" below {bound}"
    return bounds


def _flat(marks: tuple[Any, ...]) -> Iterator[Any]:
    for mark in marks:
        yield from mark.metadata if isinstance(mark, FieldInfo) else (mark,)
