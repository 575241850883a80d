"""Page that shows our cells beside the vendor's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import binary_dilation

from cellsam_core.files.atomic import atomic_path
from cellsam_core.reporting.figures.common import encode, new_figure, plain
from cellsam_core.reporting.figures.spatial import GENE_COLOURS, GENE_MARKERS
from cellsam_core.reporting.page import Picture, Section, Table, render
from cellsam_core.reporting.pictures.images import outlines, read_window, stretch, window_around
from cellsam_core.reporting.sections.purity import figure_purity
from cellsam_core.samples.affine import pixel_size_of
from cellsam_core.samples.transcripts import iter_transcripts
from cellsam_core.vendor.counts import SQUARE_UM

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.figure import Figure

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.reporting.pictures.images import Window
    from cellsam_core.reporting.results import Results
    from cellsam_core.vendor.stage import VendorComparison

SHOWN_PX = 360  # side of a picture on the page
RED, WHITE = (255, 70, 70), (255, 255, 255)
BRIGHTNESS = 0.7
N_GENES_SHOWN, N_GENES_LISTED = 3, 10
FAR_RATIO = 2.0
MIN_TRANSCRIPTS = 20
SIDE_ROWS = (
    ("n_cells", "cells"),
    ("capture", "share of the transcripts in cells"),
    ("purity", "share of own transcripts in cells"),
    ("purity_error", "its standard error"),
    ("auto_um", "distance that expand_um: auto chooses (µm)"),
    ("profile_gain", "profile gain (nats for each transcript)"),
    ("median_transcripts", "transcripts per cell (median)"),
    ("median_genes", "genes per cell (median)"),
    ("n_below_10", "cells below 10 transcripts"),
    ("median_area_um2", "area (µm², median)"),
    ("controls_per_transcript", "controls for each transcript in cells"),
)
MATCH_ROWS = ("iou", "matched", "gained", "lost", "median_iou", "r_totals", "r_counts")
MATCH_WORDS = (
    *("IoU from", "matched", "only ours", "only the vendor's", "median IoU"),
    *("r of totals", "r of cell by gene"),
)


def write_vendor_page(found: VendorComparison, results: Results, path: Path) -> None:
    """Write the page of a comparison.

    Parameters
    ----------
    found
        The comparison.
    results
        Results of the sample, whose stain is shown.
    path
        HTML file to write.
    """
    record = found.record
    sections = [_figures(record), _genes(found), *_places(found, results)]
    subtitle = f"our cells beside the vendor's ({record['vendor_file']})"
    headline = [
        ("our cells", record["ours"]["n_cells"]),
        ("the vendor's cells", record["vendor"]["n_cells"]),
        ("matched (IoU 0.5)", record["matches"][-1]["matched"]),
    ]
    page = render(record["sample"], subtitle, headline, sections)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def write_empty_page(sample: str, path: Path) -> None:
    """Write the page of a sample without cells of a vendor."""
    text = "The folder of the sample has no cells of the vendor that can be used."
    page = render(sample, text, [], [Section("Figures", paragraphs=[text])])
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _figures(record: dict[str, Any]) -> Section:
    section = Section("Figures", paragraphs=list(record["sentences"]))
    rows = [(words, record["ours"][name], record["vendor"][name]) for name, words in SIDE_ROWS]
    section.tables.append(Table("Both kinds of cells.", ("", "ours", "the vendor's"), rows))
    matches = [[row[name] for name in MATCH_ROWS] for row in record["matches"]]
    section.tables.append(Table("Cells that match one to one.", MATCH_WORDS, matches))
    more = [
        ("our cells that hold most of two or more of the vendor's", record["n_merged"]),
        ("the vendor's cells that hold most of two or more of ours", record["n_split"]),
        (
            "share of the transcripts of matched vendor's cells in the matching cell",
            record["same_cell_share"],
        ),
    ]
    section.tables.append(Table("Merged and split.", (), more))
    ours, theirs = (
        {"rings": rings, **record[side], "reason": record[side]["purity_reason"], "expand_um": end}
        for rings, side, end in zip(
            record["purity_rings"], ("ours", "vendor"), (record["expand_um"], 0.0), strict=True
        )
    )
    if not ours["reason"]:
        caption = (
            "Left: shares of the transcripts around our cells. Right: share of the transcripts in"
            " cells, and share of those that is the cells' own, if cells grow; circles: the cells"
            " that are compared."
        )
        section.pictures.append(Picture(encode(lambda: figure_purity(ours, theirs)), caption))
    return section


def _genes(found: VendorComparison) -> Section:
    """List the genes whose counts differ most, and show all."""
    section = Section("Genes")
    genes = found.genes[found.genes["ratio"].notna()]
    genes = genes[genes[["n_ours", "n_vendor"]].max(axis=1) >= MIN_TRANSCRIPTS]
    if genes.empty:
        section.paragraphs.append("No gene has enough transcripts in both kinds of cells.")
        return section
    typical = float(found.genes["n_ours"].sum() / max(found.genes["n_vendor"].sum(), 1))
    off = (np.log(genes["ratio"]) - np.log(typical)).abs()
    far = genes[(genes["ratio"] > FAR_RATIO) | (genes["ratio"] < 1 / FAR_RATIO)]
    section.paragraphs.append(
        f"Our cells hold {typical:.2f} times as many transcripts as the vendor's."
        f" {len(far)} of {len(genes)} genes are outside of 0.5 to 2 times."
    )
    first = genes.loc[off.sort_values(ascending=False, kind="stable").index[:N_GENES_LISTED]]
    header = ("gene", "ours", "the vendor's", "ratio", "from", "to")
    names = ["gene", "n_ours", "n_vendor", "ratio", "ratio_low", "ratio_high"]
    rows = first[names].to_numpy().tolist()
    section.tables.append(Table("Genes that differ most from the typical ratio.", header, rows))
    return section


def _places(found: VendorComparison, results: Results) -> list[Section]:
    """Show the places that differ most."""
    image, source = results.image(), found.manifest.transcripts
    section = Section("Places that differ most")
    if image is None or source is None or not found.record["places"]:
        section.paragraphs.append("There is no stain to show, or no place differs.")
        return [section]
    pixel_um = pixel_size_of(np.array(source.um_to_px))
    side_px = max(16, round(SQUARE_UM / pixel_um))
    windows = [
        window_around(
            found.manifest.shape_yx,
            (place["y_um"] / pixel_um, place["x_um"] / pixel_um),
            side_px,
        )
        for place in found.record["places"]
    ]
    spots = _spots(found, windows)
    for number, window in enumerate(windows):
        changed = found.record["places"][number]["n_changed"]
        draw = partial(_figure, found, image, window, spots[number])
        uri = encode(draw)
        caption = (
            f"{number + 1}. {changed} transcripts change their cell. Left: the vendor's cells, red."
            " Right: ours, white. Dots: the three genes that differ most here."
        )
        section.pictures.append(Picture(uri, caption))
    return [section]


Spots = dict[str, "npt.NDArray[np.float64]"]


def _spots(found: VendorComparison, windows: list[Window]) -> list[Spots]:
    """Find the transcripts of the genes that differ most in each window; one pass of the table."""
    rows: list[list[tuple[str, float, float]]] = [[] for _ in windows]
    assert found.manifest.transcripts is not None
    for batch in iter_transcripts(found.manifest.transcripts):
        x, y = (batch[name].to_numpy() for name in ("x_px", "y_px"))
        for window, kept in zip(windows, rows, strict=True):
            at = np.flatnonzero(
                (x >= window.x0) & (x < window.x1) & (y >= window.y0) & (y < window.y1)
            )
            names = batch["feature"].take(at).to_pylist()
            kept += list(zip(names, x[at].tolist(), y[at].tolist(), strict=True))
    return [
        _most_different(found, window, kept) for window, kept in zip(windows, rows, strict=True)
    ]


def _most_different(
    found: VendorComparison, window: Window, rows: list[tuple[str, float, float]]
) -> Spots:
    """Keep the genes of which most transcripts are in the cells of one kind only."""
    span = window.y0, window.y1, window.x0, window.x1
    inside = [tiles.window(*span) > 0 for tiles in (found.ours, found.theirs)]
    places: dict[str, list[tuple[float, float]]] = {}
    differs: dict[str, int] = {}
    for name, x, y in rows:
        at = (
            min(int(y + 0.5), window.y1 - 1) - window.y0,
            min(int(x + 0.5), window.x1 - 1) - window.x0,
        )
        places.setdefault(name, []).append((x, y))
        differs[name] = differs.get(name, 0) + int(inside[0][at] != inside[1][at])
    first = sorted(differs, key=lambda name: (-differs[name], name))[:N_GENES_SHOWN]
    return {name: np.array(places[name]) for name in first}


def _figure(found: VendorComparison, image: OmeZarr, window: Window, spots: Spots) -> Figure:
    """Draw the stain with the outlines of each kind, side by side."""
    grey = stretch(read_window(image, 0, len(image.channels) - 1, window))
    figure = new_figure(3.9)
    span = window.y0, window.y1, window.x0, window.x1
    for place, (title, tiles, colour) in enumerate(
        (("the vendor's cells", found.theirs, RED), ("our cells", found.ours, WHITE)), start=1
    ):
        axes = figure.add_subplot(1, 2, place)
        rgb = np.repeat((BRIGHTNESS * grey[..., None]).astype(np.uint8), 3, axis=-1)
        labels = tiles.window(*span)[:: window.stride, :: window.stride]
        # Thinner lines would be lost where the picture is shrunk.
        edge = outlines(labels)
        width = max(labels.shape) // SHOWN_PX
        rgb[binary_dilation(edge, iterations=width) if width else edge] = colour
        axes.imshow(rgb, extent=window.extent, interpolation="nearest")
        for i, (name, xy) in enumerate(spots.items()):
            axes.plot(
                xy[:, 0],
                xy[:, 1],
                GENE_MARKERS[i],
                ms=3,
                mew=0,
                color=GENE_COLOURS[i],
                label=plain(name),
            )
        axes.set_title(title)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlim(window.extent[0], window.extent[1])
        axes.set_ylim(window.extent[2], window.extent[3])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
