"""YAML files as Hydra finds them in folders: in UTF-8, with or without a mark; errors name them."""

from __future__ import annotations

import io
import os

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from leopart_kit.input_files import read_text

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
