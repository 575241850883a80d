"""Work that users would wait for, and that gives nothing: listings and imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from scipy import stats

from cellsam_core.samples.movie_files import MovieOptions
from cellsam_core.samples.movie_search import find_movie
from cellsam_core.traces.summaries import condition_curve

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def test_a_folder_of_many_frames_is_listed_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for frame in range(30):
        tifffile.imwrite(tmp_path / f"t{frame:03}.tif", np.zeros((2, 2), np.uint16))
    listed: list[Path] = []
    listing = Path.iterdir

    def count(folder: Path) -> Iterator[Path]:
        listed.append(folder)
        return listing(folder)

    monkeypatch.setattr(Path, "iterdir", count)
    assert len(find_movie(tmp_path, MovieOptions()).images) == 30
    assert len(listed) < 15


def test_confidence_interval_is_that_of_students_t() -> None:
    matrix = np.random.default_rng(1).normal(size=(5, 4))
    matrix[:4, 2] = np.nan
    matrix[3:, 1] = np.nan
    table = condition_curve(matrix)
    expected = stats.t.ppf(0.975, np.maximum(table["n"] - 1, 1)) * table["sem"]
    np.testing.assert_array_equal(table["ci95"], expected)


def test_tracking_does_not_import_what_it_does_not_need() -> None:
    code = (
        "import sys, cellsam_core.traces.stage; "
        "print([name for name in ('scipy.stats', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
