"""Measures of the code itself: what is passed through, named twice, repeated or long.

    python -m tests.house          prints them all, in about a minute

`test_house.py` holds those that may not get worse.
"""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from leopart_kit.cli.declared import PACKAGES
from leopart_kit.parts import find_part, list_parts
from tests.test_docs import num_words, sentences_of
from tests.test_settings import repeated_defaults, yaml_files
from tests.trips import TRIPS, files_passed

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "leopart_kit"
PARTS = ("dataset", "method", "protocol")


class Measure(NamedTuple):
    """A measure, what it came to, and the most that it may be."""

    name: str
    found: int
    most: int | None = None

    def __str__(self) -> str:
        bound = "" if self.most is None else f"at most {self.most:,}"
        over = " !" if self.most is not None and self.found > self.most else ""
        return f"{self.name:<58}{self.found:>8,}  {bound}{over}"


def module_name(path: Path) -> str:
    """The full name of the module in a file of the package."""
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Full names of the modules and members that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def boxes(package: Path) -> list[str]:
    """The immediate children of a package: files and folders of code."""
    files = {path.stem for path in package.glob("*.py")}
    return sorted(files | {path.parent.name for path in package.glob("*/__init__.py")})


def arrows(package: Path) -> set[tuple[str, str]]:
    """Pairs of boxes of a package of which the first imports from the second."""
    prefix, known = f"{module_name(package / '__init__.py')}.", set(boxes(package))
    found = set()
    for path in package.rglob("*.py"):
        own = path.relative_to(package).with_suffix("").parts[0]
        for name in imported(path):
            if name.startswith(prefix):
                child = name.removeprefix(prefix).split(".")[0]
                found.add((own, child if child in known else "__init__"))
    return {(own, other) for own, other in found if own != other}


def public_names() -> dict[str, dict[str, object]]:
    """Names in the `__all__` of each package, with what they are."""
    found = {}
    for path in sorted(PACKAGE.rglob("__init__.py")):
        module = importlib.import_module(module_name(path))
        if hasattr(module, "__all__"):
            found[module.__name__] = {name: getattr(module, name) for name in module.__all__}
    return found


def names_of_several_things(packages: dict[str, dict[str, object]]) -> set[str]:
    """Public names that are one thing in one package and another in the next."""
    return {
        name
        for one, other in combinations(packages.values(), 2)
        for name in one.keys() & other.keys()
        if one[name] is not other[name]
    }


def places(group: str) -> list[str]:
    """Files that a new part of a kind has to be written into: its own, and those that list parts.

    A file lists parts if it names most of the modules or classes of the kind. The front door does
    too, but it is a choice: a part that is not among its names is found all the same.
    """
    words = {}
    for name in list_parts(PACKAGES[group]):
        part = find_part(PACKAGES[group], name, group)
        words[name] = {part.__name__, part.__module__}
    found = ["its own"]
    files = {*PACKAGE.rglob("*.py"), *(REPOSITORY / "configs").glob("*.yaml")}
    for path in files - {PACKAGE / "__init__.py"} | {REPOSITORY / "pyproject.toml"}:
        text = path.read_text()
        named = sum(any(word in text for word in known) for known in words.values())
        if named > len(words) / 2:
            found.append(path.relative_to(REPOSITORY).as_posix())
    return found


def code_lines(text: str) -> int:
    """Lines of a module without blanks, comments and docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    words = set()
    for node in ast.walk(ast.parse(text)):
        for before, child in _statements(node) if isinstance(node, documented) else ():
            is_text = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if is_text and (before is None or isinstance(before, ast.AnnAssign)):
                words |= set(range(child.lineno, (child.end_lineno or 0) + 1))
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped and token.type != tokenize.ENDMARKER:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - words)


def questions() -> list[str]:
    """Docstrings that begin with a question word instead of what the thing is."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            for _, child in _statements(node):
                match child:
                    case ast.Expr(value=ast.Constant(value=str(text))) if QUESTION.match(text):
                        found.append(f"{path.relative_to(PACKAGE)}: {text.splitlines()[0]}")
    return found


def _statements(node: ast.AST) -> Iterator[tuple[ast.stmt | None, ast.stmt]]:
    """Each statement of a body, with the one before it."""
    body = getattr(node, "body", [])
    body = body if isinstance(body, list) else []  # that of a lambda is an expression
    return zip([None, *body], body, strict=False)


def lines_by_package() -> dict[str, int]:
    """Code lines of each package; what lies beside the packages counts as one."""
    found: dict[str, int] = defaultdict(int)
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).parts
        found[parts[0] if len(parts) > 1 else "beside them"] += code_lines(path.read_text())
    return dict(sorted(found.items()))


QUESTION = re.compile(r"(What|How|Whether|Which|Who|Where|When|Why)\b")
MOST_FILES = {"evaluate": 20, "leopart-eval": 50}


def of_structure() -> list[Measure]:
    """Measures of how the parts hang together; some seconds."""
    evaluation = PACKAGE / "evaluation"
    packages = public_names()
    repeated = sum(len(repeated_defaults(file)) for file in yaml_files())
    return [
        Measure("YAML keys that repeat a default", repeated, 0),
        Measure("boxes of evaluation/", len(boxes(evaluation)), 12),
        Measure("arrows between them", len(arrows(evaluation)), 40),
        Measure("public names", sum(map(len, packages.values())), 350),
        Measure("of these, names of several things", len(names_of_several_things(packages)), 0),
        # A command has a script in pyproject.toml too.
        *(
            Measure(f"places of a new {g}", len(places(g)), 1)
            for g in sorted({*PACKAGES} - {"command"})
        ),
    ]


def of_trips() -> list[Measure]:
    """Files of the package that a call or a command passes through; half a minute."""
    with TemporaryDirectory() as folder:
        passed = {trip: len(files_passed(trip, Path(folder))) for trip in TRIPS}
    return [Measure(f"files that {t} passes", n, MOST_FILES.get(t)) for t, n in passed.items()]


def of_size() -> list[Measure]:
    """Code lines, and words of the first pages."""
    lines = lines_by_package()
    measures = [Measure(f"code lines, {name}", count) for name, count in lines.items()]
    measures.append(Measure("code lines", sum(lines.values())))
    measures.append(Measure("docstrings that begin with a question", len(questions()), 0))
    for name, most in (("README.md", 1200), ("eval/README.md", 900)):
        text = (REPOSITORY / name).read_text()
        longest = max(map(num_words, sentences_of(text)))
        measures.append(Measure(f"{name}, words", len(text.split()), most))
        measures.append(Measure(f"{name}, words of the longest sentence", longest, 30))
    return measures


def main() -> None:
    for measures in (of_structure, of_trips, of_size):
        print(*measures(), sep="\n", flush=True)


if __name__ == "__main__":
    main()
