"""Files of the nuclei that are paired with cells."""

from __future__ import annotations

from cellsam_core.outputs import SAMPLE, Column, Output
from cellsam_core.segmentation.columns import CELL_COLUMNS as SEGMENTED

BOTH = "the config sets `targets: nucleus,cell`"
NO_SIZE = "empty if the size of a pixel is not known"
FRAME = Column("frame", "int32", "Number of the frame, from 0")

CELL_COLUMNS = (
    Column("n_nuclei", "int32", "Number of nuclei of the cell"),
    Column("nucleus_area_px", "int64", "Area of its nuclei inside the cell", "px"),
    Column("nucleus_area_um2", "float64", "Area of its nuclei inside the cell", "um2", NO_SIZE),
    Column("nucleus_share", "float64", "Share of the area of the cell that is nucleus, 0 to 1"),
    Column(
        "nucleus_split",
        "bool",
        "True if 30 % or more of a nucleus lies in this cell and in another one as well",
    ),
    Column("nucleus_state", "text", "Nuclei of the cell: none, one or several"),
)
CELLS = Output(
    "2_masks/nuclei/cells.parquet",
    "any sample",
    f"Nuclei of each cell, one row for each cell of each frame. Written if {BOTH}.",
    (FRAME, Column("label", "uint32", "Number of the cell in the masks"), *CELL_COLUMNS, SAMPLE),
)
NUCLEI = Output(
    "2_masks/nuclei/nuclei.parquet",
    "any sample",
    "All nuclei that were found or given, one row for each nucleus of each frame; without those in"
    f" no cell if `orphan_nuclei` is drop. Written if {BOTH}.",
    (
        FRAME,
        Column("nucleus_id", "uint32", "Number of the nucleus in `found.zarr`"),
        Column("cell_id", "uint32", "Number of its cell; 0 for a nucleus without cell"),
        Column("area_px", "int64", "Area of the whole nucleus", "px"),
        Column("area_um2", "float64", "Area of the whole nucleus", "um2", NO_SIZE),
        Column("area_in_cell_px", "int64", "Area inside its cell; 0 without cell", "px"),
        Column("share_in_cell", "float64", "Largest share of the nucleus in one cell, 0 to 1"),
        Column("is_primary", "bool", "True for the nucleus with the largest part in its cell"),
        Column(
            "state",
            "text",
            "in a cell (half of it or more), partly in a cell (10 % or more), or in no cell",
        ),
        SAMPLE,
    ),
)
OUTPUTS = (
    Output(
        "2_masks/nuclei/masks.zarr",
        "any sample",
        "Nuclei as OME-Zarr labels with the numbers of their cells; what lies outside of the cell"
        f" is left out. Written if {BOTH}.",
    ),
    Output(
        "2_masks/nuclei/found.zarr",
        "any sample",
        f"All nuclei that were found or given, with numbers of their own. Written if {BOTH}.",
    ),
    Output(
        "2_masks/nuclei/found.parquet",
        "any sample",
        f"Shape of these nuclei, and score of those that were found. Written if {BOTH}. The"
        " columns are those of `cells.parquet`.",
        SEGMENTED,
    ),
    NUCLEI,
    CELLS,
)
