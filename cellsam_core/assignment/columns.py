"""Files of the assignment of transcripts to cells."""

from __future__ import annotations

from dataclasses import replace

from cellsam_core.nuclei.columns import BOTH, CELL_COLUMNS
from cellsam_core.outputs import SAMPLE, Column, Output

NO_IMAGE = "empty if no image is known, only outlines"
OUTLINES = "empty for the outlines of a vendor"
ELLIPSE = "of the ellipse with the same moments"
FIELDS = "the image is made of several fields of view"
VENDOR = "the input has the column"
LOCALISATION = "`localisation_error_um` is above 0"
IMAGES = "cells are labels and the images are given"
NUCLEI = "nuclei are given"
LABELS = "cells are labels"
NO_PURITY = "empty if the purity can't be known"

CELL_ID = Column("cell_id", "uint32", "Number of the cell in the masks; 0 for none")
TRANSCRIPTS = Output(
    "3_cells/transcripts.parquet",
    "tissue",
    "Transcripts, one row for each row of the input, in its order.",
    (
        Column("x_um", "float64", "x in the frame `slide`", "um"),
        Column("y_um", "float64", "y in the frame `slide`", "um"),
        Column("z", "float64", "z as in the input", "as in the input", "empty if there is none"),
        Column("feature", "text", "Gene, or name of a control"),
        Column("feature_type", "text", "gene, blank, negative or another class of control"),
        CELL_ID,
        Column("x_image_um", "float32", "x in the frame `image`", "um", NO_IMAGE),
        Column("y_image_um", "float32", "y in the frame `image`", "um", NO_IMAGE),
        Column("fov", "int32", "Number of the field of view", when=FIELDS),
        Column(
            "vendor_cell_id",
            "text",
            "Cell that the vendor gave it to",
            missing="empty for none",
            when=VENDOR,
        ),
        Column("qv", "float32", "Quality that the vendor gave it", when=VENDOR),
        Column("in_nucleus", "bool", "True if it lies in a nucleus", when=NUCLEI),
        Column(
            "owner_probability",
            "float32",
            "Probability that it lies in its cell (or in none), 0 to 1",
            when=LOCALISATION,
        ),
        SAMPLE,
    ),
)
BOUNDARIES = Output(
    "3_cells/boundaries.parquet",
    "tissue",
    "Outlines of the cells as GeoParquet, one row for each cell.",
    (
        Column("cell_id", "uint32", "Number of the cell in the masks"),
        Column("geometry", "wkb", "Polygon or MultiPolygon in the frame `slide`", "um"),
        SAMPLE,
    ),
)
OBS = Output(
    "3_cells/cells.h5ad",
    "tissue",
    "Cells, one row for each. The name of a row is `<sample>_<cell_id>`.",
    (
        Column("cell_id", "uint32", "Number of the cell in the masks"),
        Column("region", "text", "Name of the sample, by which SpatialData finds the cells"),
        Column("sample", "text", "Name of the sample"),
        Column("x_um", "float64", "x of the centroid in the frame `slide`", "um"),
        Column("y_um", "float64", "y of the centroid in the frame `slide`", "um"),
        Column("x_image_um", "float64", "x of the centroid in the frame `image`", "um", NO_IMAGE),
        Column("y_image_um", "float64", "y of the centroid in the frame `image`", "um", NO_IMAGE),
        Column("x_px", "float64", "Column of the centroid", "px", NO_IMAGE),
        Column("y_px", "float64", "Row of the centroid", "px", NO_IMAGE),
        Column("area_um2", "float64", "Area, after growing by `expand_um`", "um2"),
        Column("score", "float32", "Probability that it is a cell, 0 to 1", missing=OUTLINES),
        Column("touches_border", "bool", "True if it touches the border", missing=OUTLINES),
        Column("fov", "int32", "Number of the field of view", when=FIELDS),
        Column("vendor_cell_id", "text", "The vendor's id of the cell", when="cells are outlines"),
        Column("n_transcripts", "int64", "Number of transcripts of genes"),
        Column("n_genes", "int32", "Number of genes with a transcript"),
        Column("n_controls", "int64", "Number of transcripts of controls"),
        Column("total_counts", "float32", "n_transcripts, as scanpy names it"),
        Column("n_genes_by_counts", "int32", "n_genes, as scanpy names it"),
        Column(
            "expected_false_positives",
            "float64",
            "Number of wrong transcripts of genes that the blanks let expect",
            missing="empty without blanks",
        ),
        Column(
            "owner_probability",
            "float64",
            "Mean owner_probability of its transcripts, 0 to 1",
            missing="empty without transcripts",
            when=LOCALISATION,
        ),
        Column("perimeter_um", "float64", "Perimeter, as scikit-image measures it", "um"),
        Column("major_axis_um", "float64", f"Long axis {ELLIPSE}", "um", OUTLINES),
        Column("minor_axis_um", "float64", f"Short axis {ELLIPSE}", "um", OUTLINES),
        Column("equivalent_diameter_um", "float64", "Diameter of a circle of the same area", "um"),
        Column(
            "eccentricity",
            "float64",
            f"Eccentricity {ELLIPSE}: 0 for a circle, towards 1 for a line",
            missing=OUTLINES,
        ),
        Column(
            "orientation_rad",
            "float64",
            "Angle from the y axis of the image to the long axis, -pi/2 to pi/2",
            "rad",
            OUTLINES,
        ),
        Column(
            "contamination",
            "float32",
            "Expected share of its transcripts that are not its own, 0 to 1",
            missing=NO_PURITY,
            when=LABELS,
        ),
        Column(
            "n_unlike_neighbours",
            "float32",
            "Number of cells of another type beside it, up to 12 um away",
            missing=f"{NO_PURITY}, or if its own type is not known",
            when=LABELS,
        ),
        Column(
            "second_type_share",
            "float32",
            "Share of its transcripts that are of a second cell type, 0 to 0.5",
            missing=f"{NO_PURITY}, or with fewer than 20 transcripts",
            when=LABELS,
        ),
        Column(
            "vertical_overlap",
            "float32",
            "1 if its upper and lower half are of different types, else 0",
            missing=NO_PURITY,
            when=f"{LABELS}, and transcripts lie in several z planes",
        ),
        Column("solidity", "float64", "Area over the area of the convex hull of the outline"),
        Column(
            "nuclear_fraction",
            "float64",
            "Share of the transcripts of genes that is in the nucleus, 0 to 1",
            missing="empty without transcripts",
            when=NUCLEI,
        ),
        *(replace(column, when=BOTH) for column in CELL_COLUMNS),
    ),
    part="obs",
)
VAR = Output(
    "3_cells/cells.h5ad",
    "tissue",
    "Genes, one row for each. The name of a row is the gene.",
    (
        Column("feature_type", "text", "gene"),
        Column("n_transcripts", "int64", "Number of transcripts in the input"),
        Column("n_assigned", "int64", "Number of transcripts in cells"),
        Column(
            "frac_assigned",
            "float64",
            "Share of the transcripts that is in cells, 0 to 1",
            missing="empty for a gene without transcripts",
        ),
        Column(
            "expected_false_share",
            "float64",
            "Share of wrong transcripts that the blanks let expect, 0 to 1",
            missing="empty without blanks",
        ),
    ),
    part="var",
)
OBSM = Output(
    "3_cells/cells.h5ad",
    "tissue",
    "Tables of the cells.",
    (
        Column("spatial", "float64", "x and y of the centroid in the frame `slide`", "um"),
        Column(
            "spatial_image",
            "float64",
            "x and y of the centroid in the frame `image`",
            "um",
            "empty for the outlines of a vendor without an image",
        ),
        Column("controls", "data frame", "Number of transcripts of each control"),
        Column(
            "intensities",
            "data frame",
            "Mean intensity of the raw image in the cell, one float32 column for each channel;"
            " background included",
            "grey values",
            when=IMAGES,
        ),
        Column(
            "intensities_integrated",
            "data frame",
            "Sum of the raw image over the pixels of the cell, one float64 column for each channel;"
            " background included",
            "grey values",
            when=IMAGES,
        ),
        Column(
            "intensities_nucleus",
            "data frame",
            "Mean intensity of the raw image in the nucleus, one float32 column for each channel",
            "grey values",
            "empty for a cell without nucleus",
            when=f"{IMAGES}, and {NUCLEI}",
        ),
    ),
    part="obsm",
)
LAYERS = Output(
    "3_cells/cells.h5ad",
    "tissue",
    "Counts beside `X`, which has all transcripts of genes (int32, CSR).",
    (
        Column("nucleus", "int32", "Number of transcripts in the nucleus", when=NUCLEI),
        Column("cytoplasm", "int32", "Number of transcripts outside of the nucleus", when=NUCLEI),
    ),
    part="layers",
)
UNS = Output(
    "3_cells/cells.h5ad",
    "tissue",
    "Facts about the whole table.",
    (
        Column("schema_version", "int", "Version of the output files"),
        Column("columns", "data frame", "Type, unit, meaning and missing value of each column"),
        Column("controls", "data frame", "Name and class of each column of `obsm['controls']`"),
        Column("coordinates", "dict", "Unit and meaning of the frames, and their transform"),
        Column("provenance", "dict", "Package, weights, cell diameter and options"),
        Column(
            "spatial",
            "dict",
            "Small picture and labels in the axes of `slide`, as squidpy and scanpy expect them",
            when="cells are labels, and none has a negative coordinate on the slide",
        ),
        Column(
            "spatial_image",
            "dict",
            "The same in the axes of `image`, because squidpy and scanpy hide cells with negative"
            " coordinates, and draw cells far from 0 very small; docs/howto.md says how to plot it",
            when="cells are labels, and one has a negative coordinate on the slide, or all are far"
            " from 0 (the smallest x or y is more than half of the largest)",
        ),
        Column("spatialdata_attrs", "dict", "Keys by which SpatialData finds the cells"),
    ),
    part="uns",
)
QUALITY = Output(
    "3_cells/assign_qc.json",
    "tissue",
    "Figures about the assignment.",
    (
        Column("schema_version", "int", "Version of the output files"),
        Column("sample", "text", "Name of the sample"),
        Column("n_transcripts", "int", "Number of transcripts, controls included"),
        Column("n_assigned", "int", "Number of transcripts in cells"),
        Column("frac_assigned", "float", "Share in cells, 0 to 1", missing="null without any"),
        Column("n_outside_image", "int", "Number of transcripts outside the image"),
        Column("n_contested", "int", "Number of transcripts that more than one outline covers"),
        Column("n_genes", "int", "Number of genes of the panel"),
        Column("n_genes_seen", "int", "Number of genes with a transcript"),
        Column("n_transcripts_by_type", "object", "Number of transcripts of each class"),
        Column("controls", "list", "Names of the controls"),
        Column("n_control_transcripts", "int", "Number of transcripts of controls"),
        Column("n_control_transcripts_assigned", "int", "The same, in cells"),
        Column("n_blanks", "int", "Number of blanks"),
        Column("n_blanks_seen", "int", "Number of blanks with a transcript"),
        Column(
            "max_blank_transcripts",
            "int",
            "Number of transcripts of the most frequent blank",
            missing="null without blanks",
        ),
        Column(
            "misidentification_rate",
            "float",
            "Transcripts of a blank over those of a gene",
            missing="null without blanks",
        ),
        Column("n_cells", "int", "Number of cells"),
        Column("n_cells_without_transcripts", "int", "Number of cells without a transcript"),
        Column(
            "median_transcripts_per_cell", "float", "Median, genes only", missing="null without any"
        ),
        Column(
            "median_genes_per_cell", "float", "Median number of genes", missing="null without any"
        ),
        Column("n_undecoded", "int", "Rows with a placeholder instead of a gene"),
        Column("warnings", "list", "Sentences for the report"),
        Column("<more>", "any", "Other figures", when="they are known"),
    ),
)
RINGS = (
    "list of rings from the core outwards: from_um, to_um (distance from the border of the mask,"
    " negative inside), n_transcripts, area_um2, density_per_um2, capture, own_share,"
    " neighbour_share, ambient_share, own_share_error (its standard error by chance), is_certain"
    " (four of those are at most 0.1), n_informative, own_share_crowded (beside another cell) and"
    " its standard_error, lift and lift_spread (exclusivity lift of cells that end there), purity"
    " and net_capture of cells that end there"
)
UNKNOWN = "null if it can't be known"
PURITY = Output(
    "3_cells/purity.json",
    "tissue",
    "Purity of the cells: shares of own, neighbours' and ambient transcripts, see docs/purity.md.",
    (
        Column("schema_version", "int", "Version of the output files"),
        Column("sample", "text", "Name of the sample"),
        Column("purity", "float", "Share of own transcripts in the cells, 0 to 1", missing=UNKNOWN),
        Column("expand_um", "float", "Distance by which the cells have grown", "um"),
        Column("auto_um", "float", "Distance that `expand_um: auto` chooses", "um"),
        Column(
            "best_um",
            "float",
            "Distance with the most right less wrong transcripts",
            "um",
            UNKNOWN,
        ),
        Column("reason", "text", "Reason why nothing is known; empty otherwise"),
        Column(
            "profile_gain",
            "float",
            "Held-out likelihood that cell types add, less one standard error",
            "nats for each transcript",
            "null if there are too few cells",
        ),
        Column("is_auto", "bool", "True if `expand_um: auto` chose the distance"),
        Column(
            "purity_error",
            "float",
            "Standard error of the purity, by chance and by the model",
            missing=UNKNOWN,
        ),
        Column(
            "purity_at_most",
            "float",
            "Upper bound of the purity, true in 97.5 %, 0 to 1",
            missing=UNKNOWN,
        ),
        Column("is_upper_bound", "bool", "True: the purity is rather too high; see purity_at_most"),
        Column("bound", "text", "Meaning of the bound"),
        Column("n_types", "int", "Number of cell types", missing="null if there are none"),
        Column(
            "held_out_own_share",
            "float",
            "Own share of held-out transcripts in cores, 0 to 1",
            missing="null if there are no cell types",
        ),
        Column("n_cells", "int", "Number of cells that were looked at"),
        Column("n_transcripts", "int", "Number of their transcripts"),
        Column("n_usable_cells", "int", "Number of cells of a known type"),
        Column(
            "informative_share",
            "float",
            "Share of the transcripts between cells of different types",
            when="there are cell types",
        ),
        Column("n_lift_pairs", "int", "Number of pairs of genes that the lift is measured on"),
        Column("n_lift_cells", "int", "Number of cells that the lift is measured on"),
        Column("ambient_per_um2", "float", "Density of ambient transcripts", "1/um2"),
        Column("ambient_from", "text", "far from cells, blanks, or unknown (then 0)"),
        Column("reach_um", "float", "Distance up to which rings are measured", "um"),
        Column("neighbour_within_um", "float", "Distance up to which a cell is a neighbour", "um"),
        Column("ambient_within_um", "float", "End of the area where ambient is measured", "um"),
        Column("rings", "list", RINGS),
    ),
    when=LABELS,
)
TABLE = (OBS, VAR, OBSM, LAYERS, UNS)
"""Parts of ``cells.h5ad``."""
OUTPUTS = (
    TRANSCRIPTS,
    *TABLE,
    BOUNDARIES,
    QUALITY,
    PURITY,
    Output(
        "3_cells/spatialdata.zarr",
        "tissue",
        "Image, labels, outlines, transcripts and table as SpatialData.",
        when="the config asks for it",
    ),
)
