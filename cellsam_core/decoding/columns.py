"""Files of the decoding of raw rounds."""

from __future__ import annotations

from cellsam_core.outputs import Column, Output

TRANSCRIPTS = Output(
    "0_decoded/transcripts.parquet",
    "raw rounds",
    "Decoded transcripts, one row for each.",
    (
        Column("x_um", "float64", "x in the frame `slide`", "um"),
        Column("y_um", "float64", "y in the frame `slide`", "um"),
        Column("z", "float64", "Index of the z plane"),
        Column("gene", "text", "Gene, or blank of the codebook"),
        Column("field", "text", "Name of the field of view"),
        Column(
            "log_odds",
            "float32",
            "Natural logarithm of the odds that the transcript is no noise",
        ),
        Column("distance", "float32", "Distance of its intensities from the codeword"),
    ),
)
QUALITY = Output(
    "0_decoded/decode_qc.json",
    "raw rounds",
    "Quality of the decoding.",
    (
        Column("schema_version", "int", "Version of the output files"),
        Column("n_gene_calls", "int", "Number of transcripts of genes that were kept"),
        Column("n_blank_calls", "int", "Number of transcripts of blanks that were kept"),
        Column("n_genes", "int", "Number of genes in the codebook"),
        Column("n_blanks", "int", "Number of blanks in the codebook"),
        Column("target_misidentification_rate", "float", "Rate that was asked for, 0 to 1"),
        Column(
            "misidentification_rate",
            "float",
            "Estimated share of wrong transcripts, 0 to 1",
            missing="null if no blank measures it",
        ),
        Column(
            "log_odds_threshold",
            "float",
            "Smallest log_odds that was kept",
            missing="null if nothing was kept",
        ),
        Column("n_measured_genes", "int", "Number of genes whose errors blanks measure"),
        Column("words", "list", "The figures above for codewords of each number of bits"),
        Column("curve", "list", "Transcripts and blanks at a number of thresholds"),
        Column(
            "colours",
            "list",
            "Transform of each colour of the bits, its pairs of spots and its residual",
            missing="empty if the files name one colour or none",
        ),
        Column("dark_bits", "list", "Names of bits that show hardly any light"),
        Column(
            "share_at_lowest",
            "float",
            "Share of the pixels of bits with the lowest value of their image, 0 to 1 (median)",
        ),
        Column(
            "spot_sigma_px",
            "dict",
            "Standard deviation of a spot: measured on molecules, null if there are too few, and"
            " as it was searched for",
            "px",
        ),
        Column(
            "word_spots",
            "dict",
            "Number of spots with as many lit bits as most genes have, number of those that are"
            " words of genes, and their share by chance; zeros if genes have fewer than 3 bits",
        ),
        Column("stage", "dict", "Numbers of linked fields, and residual of their positions"),
        Column(
            "coverage", "dict", "Areas of the mosaic, of the fields, and of what all rounds show"
        ),
        Column("fields", "list", "Drift, dropout and transcripts of each field of view"),
    ),
)
COLOURS = Output(
    "0_fields/colours.json",
    "raw rounds",
    "Places of the colours against each other, in pixels of a field.",
    (
        Column(
            "colours",
            "list",
            "Name, matrix and shift of each colour of the bits, its pairs of spots and residual",
            missing="empty if the files name one colour or none",
        ),
    ),
)
OUTPUTS = (
    COLOURS,
    Output(
        "0_decoded",
        "raw rounds",
        "Decoded rounds: a folder that is read like that of a vendor. It also has the stains as"
        " TIFF, the transform to pixels and the codebook.",
    ),
    TRANSCRIPTS,
    QUALITY,
)
