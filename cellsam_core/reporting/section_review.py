"""Section that says which links and divisions to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.reporting.page import Section, Table
from cellsam_core.tracking.review import advice

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.reporting.results import Results

MAX_ROWS = 20
HEADER = ("rank", "event", "frame", "y (px)", "x (px)", "label", "tracks", "probability", "gain")


def review_section(results: Results, tracks: pd.DataFrame | None) -> Section:
    """List the events that are most worth a look."""
    section = Section("What to check")
    review = results.table("3_tracks/review.csv")
    if review is None or tracks is None:
        section.paragraphs.append("There is no review.csv.")
        return section
    section.paragraphs.append(advice(review, tracks["lineage_id"].nunique()))
    if review.empty:
        return section
    shown = review.head(MAX_ROWS).drop(columns="lineages_right")
    shown["track_ids"] = shown["track_ids"].astype(str).str.replace(";", ", ")
    section.paragraphs.append(
        "Label: of the object whose past is in doubt. Gain: right lineages that checking it adds,"
        " on average. What is wrong goes into the sample's table of corrections"
        " (docs/corrections.md)."
    )
    caption = f"The first {len(shown)} of {len(review)} rows of review.csv."
    rows = list(shown.itertuples(index=False, name=None))
    section.tables.append(Table(caption, HEADER, rows))
    return section
