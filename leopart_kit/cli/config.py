"""The run of a command: compose its configuration, build, call, log, fail in one line."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from leopart_kit.cli.declared import PACKAGES, declared_names, register_declared
from leopart_kit.cli.help_page import help_page
from leopart_kit.cli.overrides import key_of, prepare_words
from leopart_kit.cli.signals import stops_in_one_line
from leopart_kit.launch import enter_launch
from leopart_kit.parts import config_folder, find_part, unknown_choice
from leopart_kit.whole_file import only_writer, write_whole_text

USER_ERRORS = (HydraException, OmegaConfBaseException, ValueError, OSError)
_ADVICE = {
    errno.ENOSPC: "free some space or choose another folder",
    errno.EDQUOT: "free some space or choose another folder",
    errno.EACCES: "choose a folder that you may write",
    errno.EROFS: "choose a folder that you may write",
    errno.ENOENT: "check the path, or choose another output_dir",
    errno.ENOTDIR: "a part of the path is a file: choose another output_dir",
}


def register_configs() -> None:
    """Make the nodes that classes declare known to Hydra, and the choices for its help."""
    register_declared()
    # Hydra's help does not look into further search paths for choices.
    OmegaConf.register_new_resolver("leopart_choices", _choices, replace=True)


def groups_of(config_name: str) -> list[str]:
    """Names that choose a node on a command line."""
    file = config_folder("configs") / f"{config_name}.yaml"
    listed = OmegaConf.to_container(OmegaConf.load(file))["defaults"]  # type: ignore[index, call-overload]
    return [str(next(iter(item))) for item in listed if isinstance(item, dict)]


def compose_command(config_name: str, words: Sequence[str]) -> DictConfig:
    """The configuration of a command that another one calls; `words` as on its command line."""
    return compose(config_name, overrides=prepare_words(words, groups_of(config_name)))


@stops_in_one_line()
def run_command(
    config_name: str,
    task: Callable[[DictConfig, Path], None],
    expected: tuple[type[Exception], ...] = (),
) -> None:
    """Compose the configuration from the command line and call `task(config, output_dir)`.

    One command at a time works in an `output_dir`.

    A user's mistake, and what else a task says it `expected`, ends the program with one line on
    standard error and exit code 1. Anything else keeps its traceback, since it is a mistake of
    ours. With `hydra.verbose=true` the log has the traceback of the former too. So does Ctrl-C,
    SIGTERM or SIGHUP.
    """
    told = (*USER_ERRORS, *expected)
    register_configs()
    if {"--help", "-h"} & set(sys.argv[1:]):
        words = [word for word in sys.argv[1:] if not word.startswith("-")]
        print(command_help(config_name, words, expected))
        return
    sys.argv[1:] = prepare_words(sys.argv[1:], groups_of(config_name))
    # Hydra would shorten tracebacks and print errors in its own way.
    os.environ["HYDRA_FULL_ERROR"] = "1"

    def body(config: DictConfig) -> None:
        # Caught here as well, since Hydra reports what leaves a task with lines of its own.
        try:
            output_dir = Path(HydraConfig.get().runtime.output_dir)
            prepare_log_files()
            first = enter_launch().rank == 0  # of the processes that share an output_dir
            with only_writer(output_dir, "output_dir") if first else nullcontext():
                task(config, output_dir)
        except told as error:
            _fail(error)

    command = hydra.main(
        version_base="1.3", config_path=str(config_folder("configs")), config_name=config_name
    )(body)
    try:
        with _threads_in_one_line(told):
            command()
    except told as error:
        _fail(error)


@contextmanager
def _threads_in_one_line(told: tuple[type[Exception], ...]) -> Iterator[None]:
    """Inside, a thread's user error is a line of the log: whoever waits for the thread meets it."""
    before = threading.excepthook

    def hook(ended: threading.ExceptHookArgs) -> None:
        if isinstance(ended.exc_value, told):
            logging.getLogger(__name__).warning("%s", describe_error(ended.exc_value))
        else:
            before(ended)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def command_help(
    config_name: str, words: Sequence[str], expected: tuple[type[Exception], ...] = ()
) -> str:
    """The page of a command, with the settings of what the words choose; ends on a mistake."""
    register_configs()
    cls = find_part(PACKAGES["command"], config_name, "command")
    with initialize_config_dir(str(config_folder("configs")), version_base="1.3"):
        try:
            overrides = prepare_words(words, groups_of(config_name))
            composed = compose(config_name, overrides=overrides, return_hydra_config=True)
            template = composed.hydra.help.template
            with open_dict(composed):
                del composed["hydra"]
            return help_page(cls, composed, template)
        except (*USER_ERRORS, *expected) as error:
            _fail(error)


def keep_settings(config: DictConfig, output_dir: Path) -> None:
    """Write `config/config.yaml`, the settings of a run that is about to change the folder.

    A run that is refused leaves those of the run before.
    """
    path = output_dir / "config" / "config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole_text(path, OmegaConf.to_yaml(config))


def _choices(group: str) -> str:
    files = [*config_folder("configs").glob(f"{group}/*.yaml")]
    files += config_folder("eval").glob(f"{group}/*.yaml")
    names = {path.stem for path in files} | set(declared_names(group))
    return ", ".join(sorted(names))


def _fail(error: Exception) -> NoReturn:
    logging.getLogger(__name__).debug("failed", exc_info=error)
    sys.exit(f"error: {describe_error(error)}")


def describe_error(error: Exception) -> str:
    """A user's mistake in one line: what is wrong and what to change."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return unknown_choice(group, name, error.options)
    if found := re.search(r"Could not load '([\w/]+)/([^/']+)'", str(error)):
        return f"unknown {found[1]} {found[2]!r}; --help lists the choices"
    if isinstance(error, OverrideParseException) and "=" not in error.override:
        return (
            f"{error.override!r} is no setting; write NAME=VALUE, in quotes if the value has spaces"
        )
    if isinstance(error, OverrideParseException):
        return f"{key_of(error.override)}: its value cannot be read, {_where(error)}"
    if group := re.match(r"Could not override '([\w.@]+)'", str(error)):
        name = group[1]
        return f"{name}: takes a name, {name}=NAME; its settings are set as {name}.SETTING=VALUE"
    if isinstance(error, MissingMandatoryValue) and error.full_key:
        return f"{error.full_key} is not set; add {error.full_key}=VALUE"
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        advice = f"; {_ADVICE[error.errno]}" if error.errno in _ADVICE else ""
        return one_line(f"{error.strerror}{where}{advice}")
    return one_line(str(error))


def _where(error: OverrideParseException) -> str:
    """Hydra's reason, without what it has read well, and what usually helps."""
    reason = one_line(str(error).partition("See http")[0]).replace("++", "").strip()
    reason = re.sub(r"^Error parsing override '.*' (?=\w+ )|^Lexer\w+: ", "", reason)
    told = reason if len(reason) < 100 else f"{reason[:40]} … {reason[-50:]}"
    key, _, value = error.override.lstrip("+").partition("=")
    if "=" in value and value[0] not in "[{" and not {"'", '"'} & {*value}:  # words of a command
        return f"""{told}; write '{key}="{value}"', with both pairs of quotes"""
    return f"{told}; put texts with = : , or brackets into quotes, and close what was opened"


def one_line(text: str) -> str:
    """A text without its line breaks: errors of CUDA and of loader processes have many."""
    return " ".join(text.split())


logger = logging.getLogger(__name__)


class TerminalHandler(logging.StreamHandler):
    """Writes to whatever `sys.stderr` is at the time.

    While a progress bar is drawn, rich puts a stand-in there that prints lines above the bar; a
    handler that had kept the real stream would write across it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.setStream(sys.stderr)
        super().emit(record)


def prepare_log_files() -> None:
    """Let log files hold names of files that are not UTF-8, with their bytes escaped.

    A log that cannot be written, as on a full disk, is given up with a line: it ends no run.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and isinstance(handler.stream, TextIOWrapper):
            handler.stream.reconfigure(encoding="utf-8", errors="backslashreplace")
            handler.handleError = partial(_give_up, handler)


def _give_up(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    logging.getLogger().removeHandler(handler)
    with suppress(OSError):  # what was not written yet cannot be written now
        handler.close()
    logger.warning("%s goes on no more: %s", handler.baseFilename, sys.exc_info()[1])
