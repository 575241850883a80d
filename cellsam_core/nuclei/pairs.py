"""The rule that gives a nucleus to a cell, from the pixels that they share.

A nucleus belongs to the cell that holds at least half of it. No other cell can then hold as much,
and so each nucleus has one cell at most. A cell may have several nuclei.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from cellsam_core.labels.shared_pixels import SharedPixels

LEAST_INSIDE = 0.5
"""Share of a nucleus inside a cell from which it belongs to the cell."""
SPLIT_SHARE = 0.3
"""Share of a nucleus inside a second cell from which both cells are flagged."""
PARTIAL_SHARE = 0.1
"""Share of a nucleus inside a cell from which a nucleus without cell counts as partly inside."""


class Pairs(NamedTuple):
    """Nuclei and cells of one frame.

    Attributes
    ----------
    nuclei
        One row for each nucleus: nucleus_id, cell_id (0 for none), area_px, area_in_cell_px,
        share_in_cell, is_primary, state.
    cells
        One row for each cell: label, n_nuclei, nucleus_area_px, nucleus_share, nucleus_split,
        nucleus_state.
    """

    nuclei: pd.DataFrame
    cells: pd.DataFrame


def pair(shared: SharedPixels) -> Pairs:
    """Give the nuclei of a frame to its cells.

    Parameters
    ----------
    shared
        Pixels of nuclei, the first labels, and of cells, the second ones.
    """
    table = pd.DataFrame({"nucleus": shared.first, "cell": shared.second, "n_px": shared.n_px})
    area = table[table["nucleus"] > 0].groupby("nucleus")["n_px"].sum()
    both = table[(table["nucleus"] > 0) & (table["cell"] > 0)]
    # The cell with most of the nucleus; of equal ones, that with the smaller number.
    ranked = both.sort_values(["nucleus", "n_px", "cell"], ascending=[True, False, True])
    first = ranked.groupby("nucleus").nth(0).set_index("nucleus").reindex(area.index)
    second = ranked.groupby("nucleus").nth(1).set_index("nucleus").reindex(area.index)
    share = (first["n_px"] / area).fillna(0.0)
    is_inside = share >= LEAST_INSIDE
    nuclei = pd.DataFrame(
        {
            "nucleus_id": area.index.to_numpy(np.uint32),
            "cell_id": first["cell"].where(is_inside, 0).fillna(0).to_numpy(np.uint32),
            "area_px": area.to_numpy(np.int64),
            "area_in_cell_px": first["n_px"].where(is_inside, 0).fillna(0).to_numpy(np.int64),
            "share_in_cell": share.to_numpy(np.float64),
        }
    )
    nuclei["is_primary"] = _primary(nuclei)
    nuclei["state"] = np.select(
        [is_inside, share >= PARTIAL_SHARE], ["in a cell", "partly in a cell"], "in no cell"
    )
    is_split = is_inside & (second["n_px"].fillna(0) / area >= SPLIT_SHARE)
    split = pd.concat([first["cell"][is_split], second["cell"][is_split]]).astype(np.uint32)
    return Pairs(nuclei, _cells(table, nuclei, split.to_numpy()))


def _primary(nuclei: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell which nucleus of each cell has the largest part in it; of equal ones, the first."""
    inside = nuclei[nuclei["cell_id"] > 0]
    ranked = inside.sort_values(
        ["cell_id", "area_in_cell_px", "nucleus_id"], ascending=[True, False, True]
    )
    return nuclei.index.isin(ranked.groupby("cell_id").head(1).index)


def _cells(
    table: pd.DataFrame, nuclei: pd.DataFrame, split: npt.NDArray[np.uint32]
) -> pd.DataFrame:
    """Tabulate the cells of a frame with their nuclei."""
    area = table[table["cell"] > 0].groupby("cell")["n_px"].sum()
    inside = nuclei[nuclei["cell_id"] > 0].groupby("cell_id")["area_in_cell_px"]
    n_nuclei = inside.count().reindex(area.index, fill_value=0)
    covered = inside.sum().reindex(area.index, fill_value=0)
    return pd.DataFrame(
        {
            "label": area.index.to_numpy(np.uint32),
            "n_nuclei": n_nuclei.to_numpy(np.int32),
            "nucleus_area_px": covered.to_numpy(np.int64),
            "nucleus_share": (covered / area).to_numpy(np.float64),
            "nucleus_split": area.index.isin(split),
            "nucleus_state": np.select([n_nuclei == 0, n_nuclei == 1], ["none", "one"], "several"),
        }
    )


def draw_pairs(
    nuclei: npt.NDArray[np.integer], cells: npt.NDArray[np.integer], pairs: Pairs
) -> npt.NDArray[np.uint32]:
    """Draw nuclei with the numbers of their cells; what lies outside of the cell is left out.

    Parameters
    ----------
    nuclei, cells
        Labels of a window ``(y, x)``.
    pairs
        Nuclei and cells of the frame.
    """
    known = pairs.nuclei["nucleus_id"].to_numpy()
    owner = np.append(pairs.nuclei["cell_id"].to_numpy(), np.uint32(0))
    flat = nuclei.ravel().astype(np.uint32)
    place = np.searchsorted(known, flat)
    place[flat == 0] = len(known)
    drawn = owner[place].reshape(nuclei.shape)
    drawn[drawn != cells] = 0
    return drawn.astype(np.uint32)
