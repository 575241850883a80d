"""The headline and the sections of the report of a movie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellsam_core.reporting.sections.linking import interval_section, quality_section
from cellsam_core.reporting.sections.masks import outlines_section
from cellsam_core.reporting.sections.review import review_section
from cellsam_core.reporting.sections.traces import traces_section
from cellsam_core.reporting.sections.tracks import counts_section, lineage_section, tracks_section

if TYPE_CHECKING:
    from cellsam_core.reporting.page import Section
    from cellsam_core.reporting.results import Results
    from cellsam_core.verdict.checks import Verdict


def movie_sections(
    results: Results, verdict: Verdict
) -> tuple[list[tuple[str, Any]], list[Section]]:
    """Build the headline and the sections of a movie, from its ``3_tracks`` folder."""
    objects = results.table("3_tracks/objects.parquet")
    tracks = results.table("3_tracks/tracks.csv")
    divisions = results.table("3_tracks/divisions.csv")
    n_frames = results.manifest.n_frames
    headline: list[tuple[str, Any]] = [("frames", n_frames)]
    if objects is not None:
        headline.append(("cells per frame", len(objects) / n_frames))
    if tracks is not None:
        headline.append(("tracks", len(tracks)))
        headline.append(("lineages", tracks["lineage_id"].nunique()))
    if divisions is not None:
        headline.append(("divisions", len(divisions)))
    sections = [
        outlines_section(results, objects),
        tracks_section(results, objects, tracks),
        counts_section(results, objects, divisions),
        lineage_section(results, tracks, divisions),
        review_section(results, verdict),
        traces_section(results),
        quality_section(results, objects, tracks),
        interval_section(results),
    ]
    return headline, sections
