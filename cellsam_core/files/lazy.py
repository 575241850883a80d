"""Modules that are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any


class LazyModule:
    """Stand-in for a module, which is imported when the first of its names is asked for.

    ``import zarr`` takes a tenth of the start of a command. One that reads TIFF does not wait
    for it.

    Parameters
    ----------
    name
        Name of the module.

    Examples
    --------
    >>> LazyModule("math").sqrt(4)
    2.0
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


if TYPE_CHECKING:
    import numcodecs as numcodecs
    import zarr as zarr
else:
    numcodecs, zarr = LazyModule("numcodecs"), LazyModule("zarr")
