"""Arrays of NumPy: ``.npy``, and Cellpose's ``_seg.npy``, of which only the masks are read."""

from __future__ import annotations

import pickle
import tokenize
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError, first_line

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIX = ".npy"
SEGMENTATION = "_seg.npy"
_SAFE = {
    *(("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}
_ERRORS = (
    *(OSError, ValueError, EOFError, LookupError, TypeError, AttributeError, MemoryError),
    *(pickle.UnpicklingError, ImportError, ArithmeticError, RecursionError),
    *(SyntaxError, tokenize.TokenError),  # NumPy reads a header as an expression of Python
)


class _Nothing:
    """Stands for whatever else is in the file."""

    def __init__(self, *_args: Any, **_named: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Makes arrays and plain objects only: a file must not run code."""

    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name) if (module, name) in _SAFE else _Nothing


def read_array(path: Path) -> NDArray[Any]:
    """Read an array, or the masks of Cellpose.

    Raises
    ------
    InputError
        The file is damaged, or has no such array.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            _, _, dtype = read(file)
            if dtype.hasobject:
                content = _Unpickler(file).load()
                found = content.item() if isinstance(content, np.ndarray) else content
                return np.asarray(found["masks"])
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except _ERRORS as error:
        raise InputError(
            path,
            found=f"no array that can be read ({first_line(error)})",
            expected="a NumPy array, or the _seg.npy of Cellpose",
            remedy="save it again, as .npy or as TIFF",
        ) from error
