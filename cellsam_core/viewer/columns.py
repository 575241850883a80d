"""Tables as the page reads them: binary columns for cells, JSON columns for the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.files.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


CELL_COLUMNS = ["frame", "label", "y", "x", "area_px"]


def read_cells(path: Path) -> pd.DataFrame:
    """Read a cell table; masks of the user have no score, which is then NaN.

    Raises
    ------
    InputError
        It can't be read, or lacks a column.
    """
    table = read_table(path, CELL_COLUMNS)
    if "score" not in table:
        table = table.assign(score=np.nan)
    return table[[*CELL_COLUMNS, "score"]]


def binary(columns: Mapping[str, NDArray[Any]]) -> bytes:
    r"""Write columns of one length: a JSON line, then their little-endian values.

    Whole numbers become int32, others float32. The line is padded to a multiple of 4 bytes.

    Examples
    --------
    >>> import numpy as np
    >>> binary({"label": np.array([7])})[-4:]
    b'\x07\x00\x00\x00'
    """
    parts, described, n = [], [], 0
    for name, values in columns.items():
        array = np.asarray(values)
        kind = "f4" if array.dtype.kind == "f" else "i4"
        parts.append(array.astype(f"<{kind}").tobytes())
        described.append([name, kind])
        n = len(array)
    line = json.dumps({"n": n, "columns": described}).encode()
    return line + b" " * (-(len(line) + 1) % 4) + b"\n" + b"".join(parts)


def as_columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Turn a table into lists of JSON's types; what is not a number becomes None."""
    return {str(name): as_list(table[name]) for name in table.columns}


def as_list(values: pd.Series[Any]) -> list[Any]:
    """Turn a column into a list of JSON's types; NaN becomes None."""
    if values.dtype.kind == "f":
        numbers = values.to_numpy(dtype=np.float64)
        return [float(v) if np.isfinite(v) else None for v in numbers]
    if values.dtype.kind in "iub":
        return list(values.tolist())
    return [None if v is None or v is pd.NA or v != v else str(v) for v in values]
