"""Verdict on a sample, from the tables and pictures of its results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cellsam_core.files.tables import table_errors
from cellsam_core.statistics import median_diameter
from cellsam_core.traces.files import read_options
from cellsam_core.verdict.cells import COLUMNS, cell_checks
from cellsam_core.verdict.checks import Verdict, too_few_made
from cellsam_core.verdict.images import image_check
from cellsam_core.verdict.motion import drift_check, link_check, trace_check, track_check
from cellsam_core.verdict.rounds import alignment_check
from cellsam_core.verdict.tissue import (
    PURITY_NUMBERS,
    control_check,
    purity_check,
    read_purity,
    registration_check,
    transcript_check,
)

if TYPE_CHECKING:
    from cellsam_core.verdict.checks import Check
    from cellsam_core.verdict.evidence import Evidence

TRACES = "3_tracks/traces.parquet"


def verdict_of(results: Evidence) -> Verdict:
    """Judge the results of a sample; stages that have not run are not measured.

    Parameters
    ----------
    results
        Results of the sample.

    Raises
    ------
    InputError
        A file of the results is damaged.
    """
    manifest = results.manifest
    cells = results.table(f"{results.masks_folder}/cells.parquet", COLUMNS)
    diameter = None if cells is None or cells.empty else median_diameter(cells["area_px"])
    checks = cell_checks(results, cells)
    numbers: dict[str, Any] = {"cells": None if cells is None else len(cells)}
    if manifest.assay == "movie":
        more, counted = movie_checks(results, diameter)
    else:
        more, counted = tissue_checks(results, diameter)
    checks += [*more, image_check(results, diameter)]
    few = too_few_made(checks)
    checks = [*([] if few is None else [few]), *checks]
    return Verdict(manifest.sample, manifest.assay, tuple(checks), numbers | counted)


def movie_checks(
    results: Evidence, diameter_px: float | None
) -> tuple[list[Check], dict[str, int | float | None]]:
    """Judge the tracks and traces of a movie; also return its chief numbers."""
    objects = results.table("3_tracks/objects.parquet")
    tracks = results.table("3_tracks/tracks.csv")
    divisions = results.table("3_tracks/divisions.csv")
    columns = ["compartment", "valid", "invalid_reason"]
    traces = results.table(TRACES, columns)
    ratio = None
    if traces is not None:
        ratio = read_options(results.folder / TRACES).get("ratio")
        traces = traces[traces["compartment"] == "cell"]
    checks = [
        track_check(objects, tracks, results.manifest.n_frames),
        link_check(objects, divisions, results.manifest.frame_interval_s),
        trace_check(traces, ratio),
        drift_check(results.table("3_tracks/drift.csv"), diameter_px),
    ]
    return checks, {
        "frames": results.manifest.n_frames,
        "tracks": None if tracks is None else len(tracks),
        "divisions": None if divisions is None else len(divisions),
    }


def tissue_checks(
    results: Evidence, diameter_px: float | None
) -> tuple[list[Check], dict[str, int | float | None]]:
    """Judge the transcripts of a tissue; also return its chief numbers."""
    quality = read_quality(results)
    alignment = alignment_check(results.folder)
    checks = [] if alignment is None else [alignment]
    checks += [transcript_check(quality, results.manifest.transcripts), control_check(quality)]
    record = read_purity(results.folder)
    purity = purity_check(record)
    checks += [] if purity is None else [purity]
    checks.append(registration_check(results, diameter_px))
    names = ("n_transcripts", "n_assigned", "median_transcripts_per_cell", "n_genes")
    numbers = {
        name.removeprefix("n_"): None if quality is None else quality[name] for name in names
    }
    return checks, numbers | {name: (record or {}).get(name) for name in PURITY_NUMBERS}


def read_quality(results: Evidence) -> dict[str, Any] | None:
    """Read the figures that ``assign`` left in ``assign_qc.json``; None without it."""
    path = results.folder / "3_cells/assign_qc.json"
    if not path.is_file():
        return None
    names = ("n_transcripts", "n_assigned", "median_transcripts_per_cell", "n_genes")
    with table_errors(path):
        quality = dict(json.loads(path.read_text(encoding="utf-8")))
        for name in (*names, "misidentification_rate"):
            if not isinstance(quality[name], int | float | None):
                raise ValueError(f"{name} is no number")
    return quality
