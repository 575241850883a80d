"""Section of the links and divisions that are most in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.reporting.page import Section, Table
from cellsam_core.reporting.pictures.strips import ROW_ANCHOR, event_strips, strip_anchor
from cellsam_core.tracking.review import advice, estimate_lineages

if TYPE_CHECKING:
    from cellsam_core.reporting.results import Results
    from cellsam_core.verdict.checks import Verdict

MAX_ROWS = 20
ESTIMATE_NEEDS = ("cells", "size", "tracks", "links", "images")
"""Checks of which none may be red if the share of right lineages is to be told."""
HEADS = {
    "rank": "rank",
    "event_kind": "event",
    "frame": "frame",
    "y": "y (px)",
    "x": "x (px)",
    "label": "label",
    "track_ids": "tracks",
    "probability": "probability",
    "expected_gain": "gain",
}
"""Columns of ``review.csv`` that are shown, and their heads."""


def review_section(results: Results, verdict: Verdict) -> Section:
    """Make the section: the events that should be checked first."""
    section = Section("What to check")
    review = results.table("3_tracks/review.csv")
    objects = results.table("3_tracks/objects.parquet")
    tracks = results.table("3_tracks/tracks.csv")
    divisions = results.table("3_tracks/divisions.csv")
    if review is None or tracks is None or objects is None or divisions is None:
        section.paragraphs.append("There is no review.csv, or a table of the tracks is missing.")
        return section
    doubted = [c.title for c in verdict.of_colour("red") if c.name in ESTIMATE_NEEDS]
    if doubted:
        section.paragraphs.append(
            f"No share of right lineages is estimated, because the verdict is red for:"
            f" {', '.join(doubted)}."
        )
    elif "link_probability" in objects:
        section.paragraphs.append(f"{estimate_lineages(objects, tracks, divisions)}")
    section.paragraphs.append(advice(review, tracks["lineage_id"].nunique()))
    if review.empty:
        return section
    shown = review.head(MAX_ROWS)[list(HEADS)].copy()
    shown["track_ids"] = shown["track_ids"].astype(str).str.replace(";", ", ")
    section.paragraphs.append(
        "Label: the object whose past is in doubt. Gain: mean number of lineages that become"
        " correct when the event is checked. Enter what is wrong in the sample's table of"
        " corrections (docs/corrections.md)."
    )
    caption = f"The first {len(shown)} of {len(review)} rows of review.csv."
    rows = list(shown.itertuples(index=False, name=None))
    section.gallery = event_strips(results, review)
    links = {number: strip_anchor(number) for number in range(len(section.gallery))}
    section.tables.append(
        Table(caption, tuple(HEADS.values()), rows, anchor=ROW_ANCHOR, links=links)
    )
    return section
