"""Files of the segmentation."""

from __future__ import annotations

from cellsam_core.outputs import SAMPLE, Column, Output

NO_SIZE = "empty if the size of a pixel is not known"
BOX = "of the smallest box that holds the cell"
CELL_COLUMNS = (
    Column("frame", "int32", "Number of the frame, from 0"),
    Column("label", "uint32", "Number of the cell in the masks of this frame, from 1"),
    Column("y", "float64", "Row of the centroid; the centre of the first pixel is 0", "px"),
    Column("x", "float64", "Column of the centroid; the centre of the first pixel is 0", "px"),
    Column("area_px", "int64", "Area", "px"),
    Column("bbox_y0", "int32", f"First row {BOX}", "px"),
    Column("bbox_x0", "int32", f"First column {BOX}", "px"),
    Column("bbox_y1", "int32", f"Row after the last one {BOX}", "px"),
    Column("bbox_x1", "int32", f"Column after the last one {BOX}", "px"),
    Column("score", "float32", "Probability that the box is a cell, given by the model, 0 to 1"),
    Column("predicted_iou", "float32", "Quality of the mask, estimated by the model, 0 to 1"),
    Column("touches_border", "bool", "True if the cell touches the border of the image"),
    Column(
        "y_um",
        "float64",
        "y of the centroid in the frame `slide`; of a movie, in the frame `image`",
        "um",
        NO_SIZE,
    ),
    Column(
        "x_um",
        "float64",
        "x of the centroid in the frame `slide`; of a movie, in the frame `image`",
        "um",
        NO_SIZE,
    ),
    Column("area_um2", "float64", "Area", "um2", NO_SIZE),
    Column("y_image_um", "float64", "y of the centroid in the frame `image`", "um", NO_SIZE),
    Column("x_image_um", "float64", "x of the centroid in the frame `image`", "um", NO_SIZE),
    Column(
        "source_id",
        "text",
        "Id of the cell in the file of outlines that the user gave",
        when="the masks are outlines of the user",
    ),
    SAMPLE,
)

CELLS = Output(
    "2_masks/cells.parquet",
    "any sample",
    "Segmented cells, one row for each cell of each frame.",
    CELL_COLUMNS,
)
OUTPUTS = (
    Output(
        "2_masks/masks.zarr",
        "any sample",
        "Masks as OME-Zarr labels: 0 is background, any other number a cell. The attribute"
        " `cellsam` has the weights, thresholds and cell diameter that were used,"
        " `cellsam_core_sample` the name of the sample and its transform.",
    ),
    CELLS,
)
