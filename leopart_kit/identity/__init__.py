"""The one notion of sameness: when a result, a cache or a checkpoint stands for what is asked.

`Identity` holds all that determines a result, by name: weights, the content of the data, settings.
The feature store, the stages of an evaluation, cells of a benchmark and checkpoints of a training
are reused for an equal identity and for no other one.
"""

from leopart_kit.identity.code import describe, describe_module, hash_weights, source_of
from leopart_kit.identity.files import file_sha256, hash_files
from leopart_kit.identity.identity import Identity
from leopart_kit.identity.settings import HOW_MEASURED, HOW_TRAINED, determining

__all__ = [
    "HOW_MEASURED",
    "HOW_TRAINED",
    "Identity",
    "describe",
    "describe_module",
    "determining",
    "file_sha256",
    "hash_files",
    "hash_weights",
    "source_of",
]
