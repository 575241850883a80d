"""Files of the comparison with a vendor's cells."""

from __future__ import annotations

from cellsam_core.outputs import Column, Output

WHEN = "the folder of the sample has cells of the vendor"
SIDE = (
    "n_cells, capture (share of all transcripts), median_transcripts, median_genes, n_below_10,"
    " median_area_um2, controls_per_transcript, purity, auto_um, profile_gain, purity_reason"
)
MATCHED = Output(
    "6_vendor/cells_matched.parquet",
    "tissue",
    "Cells that match with an IoU of 0.25 or more, one row for each pair.",
    (
        Column("ours", "uint32", "Number of our cell in the masks"),
        Column("vendor", "uint32", "Number of the vendor's cell in its label image"),
        Column("iou", "float64", "Intersection over union of their pixels, 0 to 1"),
        Column("n_ours", "int64", "Number of transcripts of our cell"),
        Column("n_vendor", "int64", "Number of transcripts of the vendor's cell"),
        Column("n_common", "int64", "Number of transcripts in both"),
    ),
    when=WHEN,
)
OUTPUTS = (
    Output(
        "6_vendor/compare.json",
        "tissue",
        "Our cells beside the vendor's.",
        (
            Column("schema_version", "int", "Version of the output files"),
            Column("sample", "text", "Name of the sample"),
            Column("vendor_file", "text", "File of the vendor's cells"),
            Column("expand_um", "float", "Distance by which our cells have grown", "um"),
            Column("n_transcripts", "int", "Number of transcripts of genes"),
            Column("ours", "object", f"Our cells: {SIDE}"),
            Column("vendor", "object", f"The vendor's cells: {SIDE}"),
            Column(
                "matches",
                "list",
                "Cells that match one to one at each least IoU: iou, matched, gained (only ours),"
                " lost (only the vendor's), median_iou, r_totals, r_counts (cell by gene)",
            ),
            Column("n_merged", "int", "Number of our cells that hold most of two or more"),
            Column("n_split", "int", "Number of the vendor's cells that hold most of two or more"),
            Column(
                "same_cell_share",
                "float",
                "Share of the transcripts of matched vendor's cells that are in the matching cell",
                missing="null if no cell matches",
            ),
            Column("places", "list", "Squares of 50 um that differ most: y_um, x_um, n_changed"),
            Column("purity_rings", "list", "Rings of `purity.json`, ours and the vendor's"),
            Column("sentences", "list", "Meaning of the figures"),
        ),
        when=WHEN,
    ),
    Output(
        "6_vendor/genes.tsv",
        "tissue",
        "Transcripts of each gene in our cells and in the vendor's.",
        (
            Column("gene", "text", "Name of the gene"),
            Column("n_transcripts", "int", "Number of transcripts in the input"),
            Column("n_ours", "int", "Number in our cells"),
            Column("n_vendor", "int", "Number in the vendor's cells"),
            Column("ratio", "float", "n_ours / n_vendor", missing="empty if one of them is 0"),
            Column("ratio_low", "float", "Lower end of its 95 % interval", missing="as ratio"),
            Column("ratio_high", "float", "Upper end of its 95 % interval", missing="as ratio"),
        ),
        when=WHEN,
    ),
    MATCHED,
    Output(
        "6_vendor/vendor.html",
        "tissue",
        "Page with the figures, and pictures of up to six places that differ most.",
        when=WHEN,
    ),
)
