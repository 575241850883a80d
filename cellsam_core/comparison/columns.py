"""Files that compare samples."""

from __future__ import annotations

from cellsam_core.outputs import Column, Output

CONDITION = Column("condition", "text", "Condition, as in the sample sheet")
FEW = "empty with fewer than two cells"
NO_CELL = "empty without a cell"
CURVES = Output(
    "conditions/condition_traces.csv",
    "several samples",
    "Mean R/R0 of each condition, one row for each time. Cells of all samples are pooled.",
    (
        CONDITION,
        Column("frame", "int", "Number of the row in its condition, from 0"),
        Column("time_s", "float", "Time", "s", "empty if the frame interval is not known"),
        Column("time_frames", "float", "Time", "frames"),
        Column("n", "int", "Number of cells with a valid value"),
        Column("mean", "float", "Mean R/R0 over cells", missing=NO_CELL),
        Column("sd", "float", "Standard deviation over cells", missing=FEW),
        Column("sem", "float", "Standard error of the mean over cells", missing=FEW),
        Column("ci95", "float", "Half of the width of the 95 % confidence interval", missing=FEW),
    ),
)
SUMMARY = Output(
    "conditions/condition_summary.csv",
    "several samples",
    "Mean response of each condition, one row for each quantity of `trace_summary.csv`.",
    (
        CONDITION,
        Column("n_samples", "int", "Number of samples"),
        Column("quantity", "text", "Column of `trace_summary.csv`; its name ends with the unit"),
        Column("n_cells", "int", "Number of cells with a value"),
        Column("mean", "float", "Mean over cells", missing=NO_CELL),
        Column("ci95", "float", "Half of the width of the 95 % confidence interval", missing=FEW),
    ),
)
COUNTS = Output(
    "replicates/gene_counts.tsv",
    "several samples",
    "Transcripts of each gene, one row for each gene and one column for each sample.",
    (
        Column("gene", "text", "Gene"),
        Column("<sample>", "int", "Number of transcripts of the gene in this sample"),
    ),
)
CORRELATION = Output(
    "replicates/correlation.tsv",
    "several samples",
    "Correlation of the transcripts of each gene, one row for each two samples.",
    (
        Column("sample_a", "text", "First sample"),
        Column("sample_b", "text", "Second sample"),
        Column("n_genes", "int", "Number of genes that both samples have"),
        Column("n_genes_only_a", "int", "Number of genes that only the first sample has"),
        Column("n_genes_only_b", "int", "Number of genes that only the second sample has"),
        Column(
            "pearson_r_log10",
            "float",
            "Pearson's correlation of the decadic logarithms, -1 to 1",
            missing="empty with fewer than three common genes",
        ),
        Column(
            "spearman_rho",
            "float",
            "Spearman's rank correlation, -1 to 1",
            missing="empty with fewer than three common genes",
        ),
    ),
)
OUTPUTS = (
    CURVES,
    SUMMARY,
    Output("conditions/conditions.png", "several samples", "Figure of the mean traces."),
    COUNTS,
    CORRELATION,
    Output("replicates/correlation.png", "several samples", "Figure of the correlation."),
)
