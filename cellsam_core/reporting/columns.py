"""Files of the report."""

from __future__ import annotations

from cellsam_core.outputs import Column, Output

OUTPUTS = (
    Output(
        "4_report/report.html",
        "any sample",
        "Report of the sample, one page that holds its pictures.",
    ),
    Output(
        "provenance.json",
        "any sample",
        "Versions, configuration, weights and inputs.",
        (
            Column("schema_version", "int", "Version of the output files"),
            Column("sample", "text", "Name of the sample"),
            Column("python", "text", "Version of Python"),
            Column("packages", "object", "Versions of packages", missing="null if one is absent"),
            Column("config", "object", "Options of each stage"),
            Column("segmentation", "object", "Weights, thresholds and cell diameter of the masks"),
            Column("manifest_sha256", "text", "Checksum of 0_manifest.json"),
            Column("inputs", "list", "Name and size in bytes of each raw file"),
            Column("<more>", "any", "Other facts about the run", when="they are known"),
        ),
    ),
)
