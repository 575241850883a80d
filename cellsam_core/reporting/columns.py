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
        "4_report/verdict.json",
        "any sample",
        "Verdict on the sample: checks against the limits of docs/verdict.md.",
        (
            Column("schema_version", "int", "Version of the output files"),
            Column("sample", "text", "Name of the sample"),
            Column("assay", "text", "movie, merfish or seqfish"),
            Column(
                "colour",
                "text",
                "green, amber, red or unknown, as the worst check; four amber checks are red",
            ),
            Column("word", "text", "Word for the colour: good, look, bad or not measured"),
            Column("numbers", "object", "Chief numbers of the sample", missing="null if unknown"),
            Column(
                "checks",
                "list",
                "Checks: name, title; colour, value, unit, limit, reason of the worst measure;"
                " link into the report; all measures",
            ),
        ),
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
