"""Parquet files notice every flipped bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cellsam_core.errors import InputError
from cellsam_core.files.parquet import open_parquet, parquet_writer
from cellsam_core.files.tables import read_table

if TYPE_CHECKING:
    from pathlib import Path

ROWS = {"cell_id": [1, 2, 3], "score": [0.5, 0.25, 0.125], "kind": ["a", "b", "a"]}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "cells.parquet"
    rows = pa.table(ROWS)
    with parquet_writer(path, rows.schema) as writer:
        writer.write_table(rows)
    return path


def test_what_is_written_is_read(table: Path) -> None:
    pd.testing.assert_frame_equal(read_table(table), pd.DataFrame(ROWS))
    assert pq.read_table(table).to_pydict() == ROWS  # any other reader


def test_a_changed_footer_is_named(table: Path) -> None:
    data = bytearray(table.read_bytes())
    at = data.rindex(b"score")  # which the format does not notice
    data[at] ^= 1
    table.write_bytes(data)
    with pytest.raises(InputError, match="footer that has changed"):
        open_parquet(table)


def test_no_flipped_bit_changes_a_row_in_silence(table: Path) -> None:
    rng = np.random.default_rng(0)
    good = table.read_bytes()
    n_refused = 0
    for bit in rng.choice(8 * len(good), 2000, replace=False):
        data = bytearray(good)
        data[bit // 8] ^= 1 << (bit % 8)
        table.write_bytes(data)
        try:
            rows = read_table(table)
        except InputError:
            n_refused += 1
            continue
        pd.testing.assert_frame_equal(rows, pd.DataFrame(ROWS))
    assert n_refused > 1000


def test_files_of_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "vendor.parquet"
    pd.DataFrame(ROWS).to_parquet(path)
    pd.testing.assert_frame_equal(read_table(path), pd.DataFrame(ROWS))
