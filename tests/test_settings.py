"""Every setting of every command and part, taken from the classes that declare them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import pytest
import yaml
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import AfterValidator, BeforeValidator
from pydantic.fields import FieldInfo

from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.cli.declared import PACKAGES, declared_names, declared_node
from leopart_kit.cli.overrides import TEXTS, prepare_words, printed_words
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.parts import config_folder, find_part, list_parts
from leopart_kit.settings import REQUIRED, declared, group_of, is_settings, read_settings

CLASSES = [
    EncoderSettings,
    *(find_part(packages, n, g) for g, packages in PACKAGES.items() for n in list_parts(packages)),
]

# Values of every kind, most of which any one setting must refuse.
VALUES = [
    *(None, True, -1, 0, 1, 3, 10**30, 0.5, -0.5, 1.5, 250.0, math.nan, math.inf, "abc", ""),
    *([], [1], [1, 2], [2, 1], [1, 1], [0, 0], [0.5, 0.2], [-1.0], ["x"], ["x", "x"], [[1]]),
    *({}, {"a": 1}, {"a/b": "x"}, {"a": None}),
]


class Leaf(NamedTuple):
    """A setting of a class, however deep."""

    cls: type
    path: tuple[str, ...]
    kind: Any
    words: str

    @property
    def name(self) -> str:
        return ".".join(self.path)


def leaves(root: type, cls: type, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    for setting in declared(cls):
        here = (*path, setting.name)
        if group_of(setting.kind) is not None:
            continue
        if is_settings(setting.kind):
            yield from leaves(root, setting.kind, here)
        else:
            yield Leaf(root, here, setting.kind, setting.words)


LEAVES = [leaf for cls in CLASSES for leaf in leaves(cls, cls)]


def accepts(kind: Any, value: Any) -> bool:
    """Whether a value is of a type, worked out without pydantic."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return accepts_marked(args[0], list(flat_marks(args[1:])), value)
    if origin in (Union, UnionType):
        return any(accepts(arg, value) for arg in args)
    if origin is Literal:
        return any(type(value) is type(arg) and value == arg for arg in args)
    if origin is tuple:
        if not isinstance(value, list):
            return False
        wanted = [args[0]] * len(value) if args[1:] == (...,) else list(args)
        pairs = zip(wanted, value, strict=True) if len(wanted) == len(value) else ()
        return len(wanted) == len(value) and all(accepts(k, v) for k, v in pairs)
    if origin is dict:
        return isinstance(value, Mapping) and all(
            accepts(args[0], key) and accepts(args[1], item) for key, item in value.items()
        )
    if is_settings(kind):
        names = [s.name for s in declared(kind) if s.default is REQUIRED]
        return isinstance(value, Mapping) and set(value) >= set(names) and not value
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    if kind is Any:
        return True
    return type(value) is kind if kind in (int, bool, str, NoneType) else kind is Path and False


def accepts_marked(kind: Any, marks: list[Any], value: Any) -> bool:
    before = any(isinstance(mark, BeforeValidator) for mark in marks)
    if before and get_origin(kind) is tuple and type(value) is int:  # a number of seeds
        value = list(range(value)) if value <= 1000 else value
    elif before and type(value) in (int, float):  # a name made of digits
        value = str(value)
    if not accepts(kind, value):
        return False
    bounded: Any = value
    for mark in marks:
        match mark:
            case Ge(ge=bound) if not bounded >= bound:
                return False
            case Gt(gt=bound) if not bounded > bound:
                return False
            case Le(le=bound) if not bounded <= bound:
                return False
            case Lt(lt=bound) if not bounded < bound:
                return False
            case MinLen(min_length=length) if len(bounded) < length:
                return False
            case AfterValidator(func=check):
                try:
                    check(tuple(value) if isinstance(value, list) else value)  # type: ignore[call-arg]
                except ValueError:
                    return False
    return True


def flat_marks(marks: tuple[Any, ...]) -> Iterator[Any]:
    for mark in marks:
        if isinstance(mark, FieldInfo):
            yield from mark.metadata
        else:
            yield mark


def example(kind: Any) -> Any:
    """Some value of a type, for a setting that must be given."""
    group = group_of(kind)
    if group is not None and group.packages:
        name = list_parts(group.packages)[0]
        return {"name": name, **example(find_part(group.packages, name, ""))}
    cls = next((inner for inner in (kind, *get_args(kind)) if is_settings(inner)), None)
    if cls is not None:
        return {s.name: example(s.kind) for s in declared(cls) if s.default is REQUIRED}
    return next(v for v in ["abc", 1, 0.5, [1, 1], {}] if accepts(kind, v))


def whole(leaf: Leaf, value: Any) -> dict[str, Any]:
    """Settings of the leaf's class with one value changed and what is needed beside it."""
    made = example(leaf.cls)
    place = made
    for step in leaf.path[:-1]:
        place = place.setdefault(step, {})
    place[leaf.path[-1]] = value
    return made


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_value_of_another_type_or_out_of_range_is_named_in_one_line(cls: type):
    for leaf in (leaf for leaf in LEAVES if leaf.cls is cls):
        for value in VALUES:
            if accepts(leaf.kind, value):
                continue
            with pytest.raises(ValueError, match=re.escape(f"group.{leaf.name}")) as error:
                read_settings(cls, whole(leaf, value), "group")
            assert "\n" not in str(error.value)
            assert len(str(error.value)) < 500


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_unknown_setting_is_refused_with_the_nearest_known_one(cls: type):
    for leaf in (leaf for leaf in LEAVES if leaf.cls is cls):
        wrong = leaf._replace(path=(*leaf.path[:-1], leaf.path[-1] + "s"))
        if any(other.path == wrong.path for other in LEAVES if other.cls is cls):
            continue
        with pytest.raises(ValueError, match=rf"no setting '{wrong.path[-1]}'") as error:
            read_settings(cls, whole(wrong, 1), "group")
        assert leaf.name in str(error.value)


def test_python_names_an_unknown_setting_as_the_command_line_does():
    with pytest.raises(ValueError, match=r"'num_cluster'.*num_clusters"):
        Overclustering(num_cluster=3)  # type: ignore[call-arg]


def test_every_setting_has_a_line_of_words():
    assert not [f"{leaf.cls.__name__}.{leaf.name}" for leaf in LEAVES if not leaf.words]


def test_the_defaults_of_every_class_are_accepted():
    for cls in CLASSES:
        read_settings(cls, example(cls), "group")


def test_texts_are_the_settings_that_hold_names_and_paths():
    found = {leaf.path[-1] for leaf in LEAVES if holds_text(leaf.kind)}
    texts = {name.rpartition(".")[2] for name in TEXTS}
    assert found - {"device", "accelerator", "resume"} <= texts
    others = {
        leaf.path[-1]
        for leaf in LEAVES
        if not holds_text(leaf.kind) and (accepts(leaf.kind, 3) or accepts(leaf.kind, True))
    }
    assert not TEXTS & others


def holds_text(kind: Any) -> bool:
    return accepts(kind, "some name") and accepts(kind, 2012) and not accepts(kind, True)


@pytest.mark.parametrize(
    "value",
    ["2012", "1e5", "007", "true", "1_000", "3.10", "nan", "-1", "/a/b-{000..9}.tar", "a{b,c}"],
)
def test_a_name_made_of_digits_stays_as_it_was_written(value: str):
    words = prepare_words([f"dataset.root={value}", "seed=3", "dataset=voc"], ["dataset"])
    quoted = f"'{value}'" if value != "007" else value
    assert words == [f"++dataset.root={quoted}", "++seed=3", "dataset=voc"]
    assert printed_words(words)[1:] == ["seed=3", "dataset=voc"]


def yaml_files() -> list[Path]:
    return sorted(f for n in ("configs", "eval") for f in config_folder(n).rglob("*.yaml"))


def repeated_defaults(file: Path) -> list[str]:
    """Keys of a file whose value is the default of the class that declares them."""
    content = yaml.safe_load(file.read_text()) or {}
    repeated = []
    for group, name, node in declared_parts_in(file, content):
        defaults = declared_node(group, name)
        repeated += [f"{group}.{path}" for path in equal_paths(node, defaults)]
    return repeated


@pytest.mark.parametrize("file", yaml_files(), ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_no_file_repeats_a_default_of_a_class(file: Path):
    assert not repeated_defaults(file)


def declared_parts_in(file: Path, content: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Nodes of a file that overlay one of a class: group, name and node."""
    chosen = {}
    for item in content.get("defaults", []):
        if isinstance(item, dict):
            key, value = next(iter(item.items()))
            chosen[key.removeprefix("override ").strip("/")] = value
        elif item not in ("shared", "_self_") and file.parent.name in PACKAGES:
            chosen[file.parent.name] = item
    for group, name in chosen.items():
        if group in PACKAGES and name in declared_names(group):
            yield group, name, content.get(group, content if file.parent.name == group else {})
    if file.parent.name in ("recipe", "ablation"):
        # The defaults of `epochs` and the schedules are those of the method.
        own = {k: v for k, v in content.items() if k not in ("defaults", "method", "encoder")}
        own = {k: v for k, v in own.items() if k not in ("epochs", "trainer")}
        yield "command", "train", own
    if file.parent.name == "suite":
        yield "command", "benchmark", content


def equal_paths(node: Any, defaults: Any) -> Iterator[str]:
    for key, value in (node or {}).items():
        if key not in defaults or key == "name":
            continue
        if isinstance(value, dict) and isinstance(defaults[key], dict):
            yield from (f"{key}.{path}" for path in equal_paths(value, defaults[key]))
        elif value == defaults[key] and type(value) is type(defaults[key]):
            yield key
