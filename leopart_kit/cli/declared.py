"""Sources of configuration nodes: the classes that declare settings, and YAML files.

Hydra finds `protocol/linear`, `encoder/dino_vits16` and `command/train` here as it finds YAML files
in a folder, so that no default is written twice. Only what is asked for is imported.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from leopart_kit.backbones import list_encoders
from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.data.loading import PACKAGES as DATASETS
from leopart_kit.evaluation.evaluate import PROTOCOLS
from leopart_kit.input_files import read_text
from leopart_kit.parts import config_folder, find_part, list_parts
from leopart_kit.settings import REQUIRED, Setting, declared, group_of, is_settings

_HEADER = 512  # characters at the start in which Hydra looks for `# @package`


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's source of files. Its own takes a mark for text, and so loses the `# @package`.

    Hydra tells sources apart by these names. A launcher's job looks for its own anew, and must take
    this one for it.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        """The node in a file.

        Raises:
            ConfigLoadError: there is no such file.
            ValueError: it is no regular file, not in UTF-8 or not YAML; names it.
        """
        name = self._normalize_file_name(config_path)
        path = os.path.realpath(os.path.join(self.path, name))
        if not os.path.exists(path):
            raise ConfigLoadError(f"Config not found : {path}")
        text = read_text(path)
        try:
            node = OmegaConf.load(io.StringIO(text))
        except RecursionError:
            raise ValueError(f"{path}: not usable YAML, it is nested too deeply") from None
        except (yaml.YAMLError, OmegaConfBaseException, OSError, ValueError) as error:
            raise ValueError(f"{path}: not YAML of settings ({error})") from error
        return ConfigResult(
            config=node,
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=self._get_header_dict(text[:_HEADER]),
        )


PACKAGES = {
    "command": ("leopart_kit.cli", "leopart_kit.image_level.cli"),
    "dataset": DATASETS,
    "method": ("leopart_kit.methods", "leopart_kit.image_level.methods"),
    "protocol": PROTOCOLS,
}
"""Packages of the parts of each group; a part is in the file of its name."""


def node_of(cls: type) -> dict[str, Any]:
    """The settings of a class with their defaults, as a node; `???` where one must be given."""
    return {s.name: _default(s) for s in declared(cls) if group_of(s.kind) is None}


def _default(setting: Setting) -> Any:
    """Of a class of settings that must be given, the node with those of them that must be."""
    if setting.default is REQUIRED and is_settings(setting.kind):
        return node_of(setting.kind)
    return _plain(setting.default)


def declared_names(group: str) -> tuple[str, ...]:
    """Choices of a group that classes declare."""
    if group == "encoder":
        return ("custom", "timm", *list_encoders())
    if group not in PACKAGES:
        return ()
    custom = ("custom",) if group != "command" else ()
    return (*list_parts(PACKAGES[group]), *custom)


def declared_node(group: str, name: str) -> dict[str, Any]:
    """The node of one choice."""
    if group == "encoder":
        said = {} if name == "timm" else {"name": name}
        return node_of(EncoderSettings) | said | ({"factory": "???"} if name == "custom" else {})
    if name == "custom":
        return {"name": "custom", "factory": "???"}
    node = node_of(find_part(PACKAGES[group], name, group))
    return node if group == "command" else {"name": name, **node}


class DeclaredSource(ConfigSource):
    """The search path `declared://parts`."""

    @staticmethod
    def scheme() -> str:
        return "declared"

    def load_config(self, config_path: str) -> ConfigResult:
        group, name = _group_and_name(config_path)
        if name not in declared_names(group):
            raise ConfigLoadError(f"Config not found: {config_path}")
        package = "_global_" if group == "command" else None
        return ConfigResult(
            provider=self.provider,
            path=f"{self.scheme()}://{self.path}",
            config=OmegaConf.create(declared_node(group, name)),
            header={"package": package},
        )

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path.strip("/").removeprefix("declared/") in ("", "encoder", *PACKAGES)

    def is_config(self, config_path: str) -> bool:
        group, name = _group_and_name(config_path)
        return name in declared_names(group)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        found = [] if results_filter == ObjectType.GROUP else [*declared_names(config_path)]
        return sorted(found)


class DeclaredPath(SearchPathPlugin):
    """Looks for nodes in `eval/`, then in the classes."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("leopart_kit", f"file://{config_folder('eval')}")
        search_path.append("leopart_kit", "declared://parts")


def encoder_node(name: str | None) -> str:
    """The node of an encoder of this name, `timm` for a model of timm: `encoder=NODE`."""
    return name if name in declared_names("encoder") else "timm"


def words_of_encoder(name: str) -> list[str]:
    """The words that choose an encoder by its name."""
    node = encoder_node(name)
    return [f"encoder={node}", *([f"encoder.name={name}"] if node == "timm" else [])]


def register_declared() -> None:
    """Make Hydra look into `eval/` and the classes; once more does nothing."""
    SourcesRegistry.instance().register(DeclaredSource)
    Plugins.instance().register(DeclaredPath)  # Hydra's own sources are there from here on
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource


def _group_and_name(config_path: str) -> tuple[str, str]:
    """Of `protocol/linear`, or of `declared/protocol/linear` where a YAML file has that name."""
    group, _, name = config_path.removesuffix(".yaml").removeprefix("declared/").partition("/")
    return group, name


def _plain(value: Any) -> Any:
    if value is REQUIRED:
        return "???"
    if is_settings(type(value)):
        return node_of_value(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def node_of_value(value: Any) -> dict[str, Any]:
    """The settings of an object under `@settings`, as a node."""
    return {s.name: _plain(getattr(value, s.name)) for s in declared(type(value))}
