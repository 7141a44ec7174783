"""`leopart`: one program, a word for each command.

Torch takes seconds to import, so nothing here imports it. A command's own module is imported when
the command runs; its page of help is kept once it was made.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version
from typing import Annotated, NamedTuple

import typer

from leopart_kit.cli.completion import completions
from leopart_kit.cli.kept_help import kept_help
from leopart_kit.cli.shorthand import explain, spelled_out


class Command(NamedTuple):
    """A command: its module, and its purpose in a line."""

    module: str
    line: str


COMMANDS = {
    "eval": Command("cli.eval_segmentation", "measure an encoder's patch tokens on a data set"),
    "train": Command("cli.train", "train an encoder's patch tokens without labels"),
    "export": Command("cli.export_masks", "find parts in your images and write their masks"),
    "bench": Command("cli.benchmark", "many encoders on many benchmarks, one leaderboard"),
    "image": Command("image_level.cli.eval_image_level", "measure an encoder on whole images"),
    "compare": Command("image_level.cli.compare_methods", "image-level methods, minutes each"),
    "ablation": Command("image_level.cli.augmentation_ablation", "what each augmentation is worth"),
    "style": Command("image_level.cli.style_transfer", "one image in the manner of another"),
}
_EXAMPLES = """\
\b
Examples:
  leopart eval images/                             parts in a folder of images
  leopart eval dataset=voc dataset.root=VOCdevkit encoder=dino_vits16
  leopart train images/ recipe=leopart_cpu_minutes encoder=dinov2_vits14
  leopart export images/                           masks, and a page to name the parts
  leopart eval                                     what a command does, with examples
  leopart eval --help                              every setting, with its default
"""
_WORDS = typer.Argument(
    None,
    metavar="[FOLDER] [NAME=VALUE]…",
    autocompletion=lambda ctx, incomplete: _complete(ctx, incomplete),
)
# Flags such as --help, --multirun or --cfg are the command's own.
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

app = typer.Typer(
    name="leopart",
    help="What do the patch tokens of a vision transformer know about objects and parts?",
    epilog=_EXAMPLES,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"leopart_kit {version('leopart_kit')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version)
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def run(name: str, words: list[str]) -> None:
    """Run a command with its words; without any, say what it does and run nothing."""
    if not words:
        print(explain(name, COMMANDS[name].module))
        return
    module = f"leopart_kit.{COMMANDS[name].module}"
    words = spelled_out(name, words)
    if {"--help", "-h"} & set(words):
        print(kept_help(module, words))
        return
    sys.argv[1:] = words
    importlib.import_module(module).main()


def _complete(ctx: typer.Context, incomplete: str) -> list[str]:
    """Settings of the command whose names begin so, and values of one that is named."""
    name = ctx.info_name or ""
    page = kept_help(f"leopart_kit.{COMMANDS[name].module}", ["--help"])
    return completions(page, list(ctx.params.get("words") or ()), incomplete)


def _add(name: str) -> None:
    @app.command(name, help=COMMANDS[name].line, context_settings=_PASS_ON, add_help_option=False)
    def command(words: list[str] = _WORDS) -> None:
        run(name, words or [])


for _name in COMMANDS:
    _add(_name)


def main() -> None:
    """Entry point of `leopart`."""
    app()
