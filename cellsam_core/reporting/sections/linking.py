"""Sections of the quality of tracks, and of the frame interval and the drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellsam_core.reporting.page import Section, Table

if TYPE_CHECKING:
    from cellsam_core.reporting.results import Results


def quality_section(
    results: Results, objects: pd.DataFrame | None, tracks: pd.DataFrame | None
) -> Section:
    """Make the section of quality: flags of objects, and beginnings, ends and links of tracks."""
    section = Section("Quality flags")
    if objects is None or tracks is None or tracks.empty:
        section.paragraphs.append("There are no tracks to judge.")
        return section
    each = objects["flags"].fillna("").astype(str).str.split(";").explode()
    flags = each[each != ""].value_counts().sort_index()
    if len(flags):
        section.tables.append(Table("Flags of objects.", ("flag", "objects"), list(flags.items())))
    else:
        section.paragraphs.append("No object is flagged.")
    for column, caption in (
        ("birth_kind", "How tracks begin."),
        ("end_kind", "How tracks end."),
    ):
        counts = tracks[column].fillna("").value_counts().sort_index()
        section.tables.append(Table(caption, (column, "tracks"), list(counts.items())))
    links = objects["link_kind"].value_counts().sort_index()
    section.tables.append(
        Table("How objects were linked.", ("kind", "objects"), list(links.items()))
    )
    quality = tracks["quality"]
    if pd.api.types.is_numeric_dtype(quality) and quality.notna().any():
        section.paragraphs.append(
            f"Track quality: median {quality.median():.3g}, lowest {quality.min():.3g}."
        )
    elif quality.notna().any():
        counts = quality.value_counts().sort_index()
        section.tables.append(Table("Track quality.", ("quality", "tracks"), list(counts.items())))
    return section


def interval_section(results: Results) -> Section:
    """Make the section of the frame interval, judged for `sigma_iou`, and of the stage's drift."""
    section = Section("Frame interval and drift")
    intervals = results.table("3_tracks/intervals.csv")
    drift = results.table("3_tracks/drift.csv")
    if intervals is None or drift is None:
        section.paragraphs.append("intervals.csv or drift.csv is missing.")
        return section
    if intervals.empty:
        section.paragraphs.append("No cell was followed from one frame to the next.")
        return section
    unsafe = intervals.loc[~intervals["safe"], "every_nth_frame"]
    if unsafe.empty:
        advice = "Overlap would still follow the cells in every tested, longer interval."
    elif unsafe.min() == 1:
        advice = (
            "Overlap alone loses cells at the movie's own interval, so that sigma_iou is unsafe: "
            "image more often."
        )
    else:
        advice = f"sigma_iou would be unsafe with every {_ordinal(int(unsafe.min()))} frame only."
    section.paragraphs.append(advice)
    caption = "Links of the final tracks that overlap alone finds in a thinned-out movie."
    rows = [
        (row.every_nth_frame, row.n_links, f"{row.found:.2%}", "yes" if row.safe else "no")
        for row in intervals.itertuples()
    ]
    section.tables.append(Table(caption, ("every nth frame", "links", "found", "safe"), rows))
    step = np.hypot(drift["y_px"].diff(), drift["x_px"].diff()).max()
    section.paragraphs.append(f"Largest step of the stage between two frames: {step:.0f} px.")
    return section


def _ordinal(n: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(n, f"{n}th")
