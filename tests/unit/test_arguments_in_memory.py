"""Arrays and tables as notebooks and other programs have them: taken as plain ones, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from refusals import follow
from skimage.segmentation import relabel_sequential

import cellsam_core as cc
from cellsam_core.errors import InputError
from cellsam_core.labels.tiles import LabelArray, measure_cells


def cells_and_nuclei() -> tuple[np.ndarray, np.ndarray]:
    """Two cells of 16 x 16 px, each with a nucleus."""
    cells, nuclei = np.zeros((2, 20, 40), np.int64)
    cells[2:18, 2:18], cells[2:18, 22:38] = 1, 2
    nuclei[6:12, 6:12], nuclei[6:12, 26:32] = 8, 9
    return cells, nuclei


@pytest.mark.parametrize("shift", [2**32, 2**33 - 1, -1])
def test_labels_that_32_bits_do_not_hold_are_not_paired(shift: int) -> None:
    cells, nuclei = cells_and_nuclei()
    with pytest.raises(InputError, match="expected labels from 0 to 4294967295"):
        cc.pair_nuclei(np.where(cells > 0, cells + shift * 2, 0), nuclei)
    with pytest.raises(InputError, match=r"`nuclei`.*expected labels from 0 to 4294967295"):
        cc.pair_nuclei(cells, np.where(nuclei > 0, nuclei + shift * 9, 0))


def test_a_mask_of_all_nuclei_is_not_paired() -> None:
    cells, nuclei = cells_and_nuclei()
    with pytest.raises(InputError, match="`nuclei`: found one number, 255, in 2 places"):
        cc.pair_nuclei(cells, np.where(nuclei > 0, np.uint8(255), np.uint8(0)))


def tissue() -> tuple[pd.DataFrame, np.ndarray]:
    """Transcripts in micrometres = pixels of the two cells."""
    table = pd.DataFrame(
        {"gene": ["Gad1", "Gad1", "Actb"], "x_um": [4.0, 9.0, 30.0], "y_um": [6.0, 5.0, 10.0]}
    )
    return table, cells_and_nuclei()[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.astype({"x_um": ">f8", "y_um": ">f4"}),
        lambda t: t.convert_dtypes(),
        lambda t: t.set_index("gene", drop=False).iloc[::-1].iloc[::-1],
        lambda t: pa.Table.from_pandas(t),
    ],
)
def test_tables_of_transcripts_of_any_kind_give_the_same_counts(change: Any) -> None:
    table, labels = tissue()
    given = change(table)
    counts = cc.assign(given, labels, pixel_size_um=1.0).to_df()
    pd.testing.assert_frame_equal(counts, cc.assign(table, labels, pixel_size_um=1.0).to_df())


def test_what_is_no_table_of_transcripts_is_refused() -> None:
    table, labels = tissue()
    follow(
        lambda: cc.assign(table.to_dict("list"), labels, pixel_size_um=1.0),  # type: ignore[arg-type]
        r"pandas.DataFrame\(",
        then=lambda: cc.assign(pd.DataFrame(table.to_dict("list")), labels, pixel_size_um=1.0),
    )


def cell_table() -> pd.DataFrame:
    """The table of the two cells, with scores."""
    return measure_cells(LabelArray(cells_and_nuclei()[0])).assign(score=[0.5, 0.75])


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.set_index("label", drop=False),
        lambda t: t.astype({"label": float}),
        lambda t: t.astype({"label": str, "score": str}),
        lambda t: t.convert_dtypes(),
    ],
)
def test_cell_tables_of_any_kind_give_the_same_cells(change: Any) -> None:
    table, labels = tissue()
    given, plain = change(cell_table()), cell_table()
    before = given.copy()
    cells, expected = (
        cc.assign(table, labels, pixel_size_um=1.0, cells=each).obs for each in (given, plain)
    )
    pd.testing.assert_frame_equal(cells, expected)
    pd.testing.assert_frame_equal(given, before)


def test_cell_tables_without_whole_numbers_are_refused() -> None:
    table, labels = tissue()
    for name, value in {"label": "1a", "area_px": 3.5, "score": "good"}.items():
        cells = cell_table().astype({name: object})
        right = cells.loc[1, name]

        def use(cells: pd.DataFrame = cells) -> Any:
            return cc.assign(table, labels, pixel_size_um=1.0, cells=cells)

        cells.loc[1, name] = value

        def mend(cells: pd.DataFrame = cells, name: str = name, right: Any = right) -> None:
            cells.loc[1, name] = right

        follow(use, "correct the value", mend)


def test_a_cell_that_is_twice_in_the_table_of_pairs_is_refused() -> None:
    table, labels = tissue()
    pairs = cc.pair_nuclei(*cells_and_nuclei())[2]
    with pytest.raises(InputError, match="found cell 1 more than once"):
        cc.assign(
            table,
            labels,
            pixel_size_um=1.0,
            nuclei_of_cells=pd.concat([pairs, pairs.iloc[:1]]),
        )


def test_labels_beyond_64_bits_are_refused_until_renumbered() -> None:
    labels = cells_and_nuclei()[0].astype(np.uint64)
    labels[labels > 0] += np.uint64(2**63)
    follow(
        lambda: cc.track(labels[None]),
        "relabel_sequential",
        then=lambda: cc.track(relabel_sequential(labels)[0][None]),
    )
