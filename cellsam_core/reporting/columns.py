"""Files of the report."""

from __future__ import annotations

from cellsam_core.outputs import Column, Output

OTHER_KIND = "not finished, or another kind of sample"
NUMBERS = {
    "cells": "Number of masks in all frames",
    "frames": "Number of frames",
    "tracks": "Number of tracks",
    "divisions": "Number of divisions",
    "transcripts": "Number of transcripts",
    "assigned": "Number of transcripts in cells",
    "median_transcripts_per_cell": "Median number of transcripts in a cell",
    "genes": "Number of genes",
    "purity": "Share of own transcripts in cells, 0 to 1; rather too high than too low",
    "expand_um": "Distance by which cells have grown, in um",
    "auto_um": "Distance that `expand_um: auto` chooses, in um",
    "profile_gain": "Held-out likelihood that cell types add, in nats for each transcript",
}
"""Chief numbers of a sample."""

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
    Output(
        "summary.tsv",
        "several samples",
        "Verdict and chief numbers of each sample, or stage and reason of its failure.",
        (
            Column("sample", "text", "Name of the sample"),
            Column("assay", "text", "movie, merfish or seqfish", missing="not finished"),
            Column("state", "text", "finished, failed, stopped or not run"),
            Column("verdict", "text", "green, amber, red or unknown", missing="not finished"),
            Column("red", "text", "Names of the red checks, joined by ;", missing="none"),
            Column("amber", "text", "Names of the amber checks, joined by ;", missing="none"),
            *(Column(name, "float", text, missing=OTHER_KIND) for name, text in NUMBERS.items()),
            Column("stage", "text", "Stage that failed", missing="none failed"),
            Column("reason", "text", "Reason in one sentence", missing="none failed"),
            Column("log", "text", "Log file of the job that failed", missing="none failed"),
            Column("report", "text", "Path of the report below results", missing="not finished"),
        ),
    ),
    Output(
        "index.html",
        "several samples",
        "Page of all samples, with links to their reports.",
    ),
)
