"""Files that lie inside of other files: members of a tar, cells of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod


class StoredFile(ABC):
    """A file inside of another one, read like one of its own.

    `str()` is a path for messages that no file on disk has: that of the container, and the name
    within. `repr()` says which bytes are meant.

    Attributes:
        container: the file that holds it.
        size: bytes.
    """

    container: str
    size: int

    @abstractmethod
    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """`length` bytes from `start` on; all that follow by default.

        Raises:
            OSError: the container cannot be read.
            ValueError: it is another one than before.
        """


AnyFile = str | StoredFile
"""The path of a file, or one inside of another."""
