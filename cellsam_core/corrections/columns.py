"""Files of corrected masks."""

from __future__ import annotations

from cellsam_core.outputs import SAMPLE, Column, Output
from cellsam_core.segmentation.columns import CELL_COLUMNS

HAS_TABLE = "the sample has a table of corrections of cells"
SOURCE = Column("source", "text", "auto, or user for a cell whose pixels a user has chosen")
CELLS = Output(
    "2_masks/corrected/cells.parquet",
    "any sample",
    "Cells of the corrected masks, one row for each cell of each frame. A cell of source user has"
    " no scores.",
    (*(column for column in CELL_COLUMNS if column is not SAMPLE), SOURCE, SAMPLE),
    when=HAS_TABLE,
)
OUTCOMES = Output(
    "2_masks/corrected/corrections.csv",
    "any sample",
    "Corrections of cells, one for each row of the user's table.",
    (
        Column("id", "text", "Id of the row", missing="empty for a row written by hand"),
        Column("row", "int", "Number of the row in the table; the header is row 1"),
        Column("operation", "text", "add, delete, merge, split, redraw or complete"),
        Column("frame", "int", "Number of the frame, from 0"),
        Column("found", "text", "yes, or no for a row that was not carried out"),
        Column("label", "int", "Number of the cell after the correction; 0 for none"),
        Column(
            "iou",
            "float",
            "Intersection over union of the outline in the table and the cell that was found, 0"
            " to 1",
            missing="empty for a new cell and for a region",
        ),
        Column(
            "reason",
            "text",
            "Reason why the row was not carried out",
            missing="empty for all other rows",
        ),
        SAMPLE,
    ),
    when=HAS_TABLE,
)
OUTPUTS = (
    Output(
        "2_masks/corrected/masks.zarr",
        "any sample",
        "Masks after the corrections of cells, as OME-Zarr labels.",
        when=HAS_TABLE,
    ),
    CELLS,
    OUTCOMES,
)
