"""Section of the report on the purity of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.reporting.figures.common import ACCENT, CATEGORICAL, WARM, encode, new_figure
from cellsam_core.reporting.page import Picture, Section, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARES = (
    ("own_share", "the cell's own", ACCENT),
    ("neighbour_share", "a neighbour's", WARM),
    ("ambient_share", "ambient", CATEGORICAL[4]),
)
CAPTION = (
    "Left: shares of the transcripts by distance from the border of the mask (negative: inside);"
    " bars: one standard error of the own share, by chance. Right: share of all transcripts that is"
    " in cells, and share of those that is the cells' own, if cells grow to each distance; the"
    " circle: the cells of this sample."
)
ROWS = (
    ("purity", "share of own transcripts in the cells"),
    ("purity_error", "its standard error"),
    ("purity_at_most", "upper bound of that share (97.5 %)"),
    ("expand_um", "cells have grown by (µm)"),
    ("auto_um", "distance that expand_um: auto chooses (µm)"),
    ("best_um", "distance with the most right less wrong transcripts (µm)"),
    ("profile_gain", "profile gain (nats for each transcript)"),
    ("held_out_own_share", "own share of held-out transcripts in cores"),
    ("n_types", "cell types"),
    ("n_cells", "cells looked at"),
    ("n_usable_cells", "cells of a known type"),
    ("informative_share", "share of transcripts between cells of different types"),
    ("ambient_per_um2", "ambient transcripts per µm²"),
    ("ambient_from", "ambient measured from"),
)
LOOKED_AT = ("profile_gain", "held_out_own_share", "n_types", "n_cells")
"""Rows that are told where the purity can't be known."""


def purity_section(record: dict[str, Any]) -> Section:
    """Show the shares of each ring and the curve of capture against purity, or the reason why not.

    Parameters
    ----------
    record
        Content of ``purity.json``.
    """
    section = Section("Purity of cells")
    if record["reason"]:
        section.paragraphs.append(str(record["reason"]))
        rows = [(words, record.get(name)) for name, words in ROWS if name in LOOKED_AT]
        section.tables.append(Table("What was looked at.", (), rows))
        return section
    section.paragraphs.append(str(record["bound"]))
    n_certain = sum(ring["is_certain"] for ring in record["rings"])
    section.paragraphs.append(
        f"The own share is certain to 0.1 in {n_certain} of {len(record['rings'])} rings: it has a"
        " standard error of at most 0.025."
    )
    section.pictures.append(Picture(encode(lambda: figure_purity(record)), CAPTION))
    rows = [(words, record.get(name)) for name, words in ROWS]
    section.tables.append(Table("Purity.", (), rows))
    return section


def figure_purity(record: dict[str, Any], other: dict[str, Any] | None = None) -> Figure:
    """Draw the shares of each ring, and the curve of capture against purity.

    Parameters
    ----------
    record
        Content of ``purity.json``.
    other
        Content of that of other cells of the same sample, whose curve is drawn, too.
    """
    figure = new_figure(3.2)
    left, right = figure.subplots(1, 2)
    _draw_shares(left, record["rings"])
    _draw_curve(right, record, "our cells" if other else "", ACCENT)
    if other and not other["reason"]:
        _draw_curve(right, other, "the vendor's cells", WARM)
    if other:
        right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=7)
    right.set_xlabel("share of all transcripts that is in cells")
    right.set_ylabel("share of those that is the cells' own")
    return figure


def _draw_shares(axes: Axes, rings: list[dict[str, Any]]) -> None:
    """Stack the shares of each ring."""
    x = np.arange(len(rings))
    base = np.zeros(len(rings))
    for name, label, colour in SHARES:
        height = np.array([ring[name] or 0.0 for ring in rings])
        axes.bar(x, height, bottom=base, color=colour, label=label, width=0.85)
        base = base + height
    own = [ring["own_share"] or np.nan for ring in rings]
    error = [ring["own_share_error"] or 0.0 for ring in rings]
    axes.errorbar(x, own, yerr=error, fmt="none", ecolor="black", lw=1, capsize=2)
    axes.axhline(0.5, color="white", lw=0.8, ls=":")
    axes.set_xticks(x, [_span(ring) for ring in rings], rotation=45)
    axes.set_xlabel("distance from the border (µm)")
    axes.set_ylabel("share of the transcripts")
    axes.set_ylim(0, 1)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=7)


def _span(ring: dict[str, Any]) -> str:
    end = f"{ring['to_um']:g}"
    return f"< {end}" if ring["from_um"] is None else f"{ring['from_um']:g} to {end}"


def _draw_curve(axes: Axes, record: dict[str, Any], label: str, colour: str) -> None:
    """Draw purity against capture, from the masks as they are outwards."""
    rings = [ring for ring in record["rings"] if ring["to_um"] >= 0 and ring["purity"] is not None]
    capture, purity = ([ring[name] for ring in rings] for name in ("capture", "purity"))
    axes.plot(capture, purity, "o-", color=colour, ms=3, label=label or None)
    for ring in rings:
        if ring is not rings[0] and not ring["n_transcripts"]:
            continue  # it lies on the point before
        place = (ring["capture"], ring["purity"])
        axes.annotate(
            f"+{ring['to_um']:g} µm", place, xytext=(3, 4), textcoords="offset points", fontsize=7
        )
    ends = [ring["to_um"] for ring in rings]
    here = record["expand_um"]
    if record["purity"] is not None and ends and here <= ends[-1]:
        x = float(np.interp(here, ends, capture))
        axes.plot([x], [record["purity"]], "o", ms=11, mfc="none", mec=colour)
