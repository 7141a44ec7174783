"""Errors of one sample of a data set."""

from __future__ import annotations


class BrokenSampleError(ValueError):
    """One sample cannot be used: missing, truncated, unreadable, or its mask has another size.

    The message names the file. A run may skip the sample, as long as it counts it.
    """


class UnknownClassError(ValueError):
    """A mask holds an id or a colour outside its label set; never skipped.

    The message names the file and the id. It nearly always means that the wrong encoding is
    assumed for the whole set, so a score of the remaining files would be wrong too.
    """
