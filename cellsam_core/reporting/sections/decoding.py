"""Section of a sample that started with raw rounds: registration, calls and their error rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.decoding.calibrate import rate_of_counts
from cellsam_core.decoding.quality import decoding_quality, doubts
from cellsam_core.reporting.figures.common import ACCENT, WARM, encode, new_figure, plain
from cellsam_core.reporting.page import Picture, Section, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cellsam_core.reporting.results import Results

MAX_NAMED_FIELDS = 20
MAX_UPRIGHT = 3  # letters of a name that is not turned


def decoding_section(results: Results) -> Section | None:
    """Make the section of decoding; None for a sample whose transcripts were measured elsewhere."""
    with decoding_quality(results.folder) as quality:
        if quality is None:
            return None
        density = density_by_field(quality["fields"])
    section = Section("Decoding")
    rate, target = quality["misidentification_rate"], quality["target_misidentification_rate"]
    if rate is None:
        section.paragraphs.append(
            "No error rate: the codebook has no blanks, or no gene was called. Calls were kept "
            "by the model's own posterior of 0.95 or more."
            if not quality["n_blanks"]
            else "No gene was called at the error rate asked for."
        )
    else:
        section.paragraphs.append(
            f"Misidentification rate {rate:.1%}, asked for: {target:.1%}. That is the mean count "
            "of a blank of the codebook over the mean count of a gene."
        )
    words = quality.get("words", [])
    section.paragraphs += _not_measured(words)
    if len(words) > 1:
        section.tables.append(_by_bits(words))
    if quality["curve"] and quality["n_blanks"]:
        uri = encode(lambda: figure_curve(quality))
        caption = (
            "Error rate of the surest calls, by how many are taken; dashed: the rate asked for."
        )
        section.pictures.append(Picture(uri, caption))
    if len(density) > 1:
        uri = encode(lambda: figure_density_by_field(density))
        caption = (
            "Transcripts of genes by field, overlaps counted in one field only; dashed: median. "
            "A field far below the others may be out of focus or badly registered."
        )
        section.pictures.append(Picture(uri, caption))
    section.paragraphs += [*_coverage(quality), *_positions(quality), *_not_aligned(quality)]
    section.paragraphs += doubts(quality)
    section.tables.append(_counts(quality))
    section.tables.append(_registration(quality["fields"]))
    if quality.get("colours"):
        section.tables.append(_colours(quality["colours"]))
    return section


def _coverage(quality: dict[str, Any]) -> list[str]:
    """Say how much of the slide the fields show."""
    if "coverage" not in quality:
        return []
    areas = quality["coverage"]
    of_mosaic = areas["fields_um2"] / areas["mosaic_um2"]
    seen = areas["seen_um2"] / areas["fields_um2"]
    return [
        f"The fields show {areas['fields_um2'] / 1e6:.3g} mm², which is {of_mosaic:.0%} of the "
        f"mosaic. All rounds show {seen:.1%} of that; at the other places, drift hides a round."
    ]


def _positions(quality: dict[str, Any]) -> list[str]:
    """Say how the fields were placed, for more than one."""
    stage = quality.get("stage")
    if stage is None or stage["n_fields"] < 2:
        return []
    n_left = stage["n_fields"] - stage["n_linked_fields"]
    if not stage["n_links"]:
        return ["All fields lie where the stage says; no overlap refined their positions."]
    told = (
        f"Positions were refined in {stage['n_links']} overlaps: residual "
        f"{stage['residual_px']:.2f} px (median), largest correction "
        f"{stage['largest_shift_px']:.1f} px."
    )
    if n_left:
        told += f" {n_left} of {stage['n_fields']} fields share too little and were not moved."
    if stage["n_links_left_out"]:
        told += f" {stage['n_links_left_out']} overlaps contradict the others and were left out."
    return [told]


def _not_aligned(quality: dict[str, Any]) -> list[str]:
    """Name the colours that could not be aligned."""
    names = [item["name"] for item in quality.get("colours", []) if not item["is_aligned"]]
    return [
        f"Colour {name} is not aligned with the others: too few molecules are seen in two colours."
        for name in names
    ]


def _colours(colours: list[dict[str, Any]]) -> Table:
    """Make the table of the alignment of each colour with the first one."""
    rows = [
        (
            item["name"],
            item["n_pairs"],
            item["residual_px"] if item["is_aligned"] else "not aligned",
            item["largest_shift_px"],
        )
        for item in colours[1:]
    ]
    header = ("colour", "pairs of spots", "residual, median", "largest shift in a field")
    return Table(
        f"Alignment with colour {colours[0]['name']} by molecules that light both, in px.",
        header,
        rows,
    )


def _not_measured(words: list[dict[str, Any]]) -> list[str]:
    """Say which genes' calls no blank vouches for, where some are vouched for."""
    if not any(group["n_blanks"] for group in words):
        return []
    told = []
    for group in (group for group in words if not group["n_blanks"]):
        bits = "1 lit bit" if group["n_bits"] == 1 else f"{group['n_bits']} lit bits"
        told.append(
            f"The error rate of {group['n_genes']} genes with {bits} is not measured: no blank has "
            "so many. Their calls were kept by the model's own posterior of 0.95 or more."
        )
    return told


def _by_bits(words: list[dict[str, Any]]) -> Table:
    header = ("lit bits", "genes", "blanks", "calls of genes", "calls of blanks", "error rate")
    rows = []
    for group in words:
        rate = group["misidentification_rate"]
        told = "not measured" if rate is None else f"{rate:.1%}"
        names = ("n_bits", "n_genes", "n_blanks", "n_gene_calls", "n_blank_calls")
        rows.append((*(group[name] for name in names), told))
    return Table("Words of each number of lit bits, which are decoded apart.", header, rows)


def figure_curve(quality: dict[str, Any]) -> Figure:
    """Draw the misidentification rate against the number of calls."""
    n_calls = np.array([point["n_calls"] for point in quality["curve"]])
    n_blank = np.array([point["n_blank_calls"] for point in quality["curve"]])
    n_genes = quality.get("n_measured_genes", quality["n_genes"])
    rate = rate_of_counts(n_blank, n_calls - n_blank, quality["n_blanks"], n_genes)
    figure = new_figure(3.0)
    axes = figure.add_subplot(xlabel="calls, the surest first", ylabel="misidentification rate")
    axes.plot(n_calls, rate)
    axes.axhline(quality["target_misidentification_rate"], linestyle="--", linewidth=1)
    axes.set_ylim(0, max(2 * quality["target_misidentification_rate"], 0.02))
    return figure


def density_by_field(fields: list[dict[str, Any]]) -> dict[str, float]:
    """Return the transcripts of genes per 1000 um2 of each field that has an area of its own."""
    return {
        str(field["field"]): 1000 * field["n_gene_calls"] / field["area_um2"]
        for field in fields
        if field["area_um2"] > 0
    }


def figure_density_by_field(density: dict[str, float]) -> Figure:
    """Draw one bar a field, with the names of the fields if there is room."""
    figure = new_figure(2.6)
    axes = figure.add_subplot(xlabel="field", ylabel="transcripts per 1000 µm²")
    axes.bar(range(len(density)), list(density.values()), color=ACCENT)
    axes.axhline(float(np.median(list(density.values()))), color=WARM, ls="--", lw=1)
    if len(density) <= MAX_NAMED_FIELDS:
        rotation = 90 if max(map(len, density)) > MAX_UPRIGHT else 0
        axes.set_xticks(range(len(density)), list(map(plain, density)), rotation=rotation)
    else:
        axes.set_xlabel("fields")
    return figure


def _counts(quality: dict[str, Any]) -> Table:
    fields = quality["fields"]
    rows = [
        ("fields of view", len(fields)),
        ("candidates", sum(field["n_candidates"] for field in fields)),
        ("calls of genes", quality["n_gene_calls"]),
        ("calls of blanks", quality["n_blank_calls"]),
        ("genes in the codebook", quality["n_genes"]),
        ("blanks in the codebook", quality["n_blanks"]),
        *_word_spots(quality.get("word_spots")),
        *_spot_size(quality.get("spot_sigma_px")),
        ("lit bits seen dark (median)", float(np.median([f["dropout"] for f in fields]))),
        ("dark bits seen lit (median)", float(np.median([f["false_bit"] for f in fields]))),
    ]
    return Table("Calls, and bit errors as the mixture model sees them.", (), rows)


def _word_spots(spots: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Make the row on spots that are words of genes, if they were counted."""
    if not spots or not spots["n_spots"]:
        return []
    share, chance = spots["n_words"] / spots["n_spots"], spots["share_by_chance"]
    what = f"spots with {spots['n_bits']} lit bits that are words of genes"
    return [(what, f"{share:.0%} of {spots['n_spots']}; {chance:.1%} by chance")]


def _spot_size(size: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Make the row on the size of the spots, if it was measured."""
    if not size or size["measured"] is None:
        return []
    words = f"{size['measured']:.2f}; searched with {size['searched']:g}"
    return [("standard deviation of a spot (px)", words)]


def _registration(fields: list[dict[str, Any]]) -> Table:
    """Make the table of drift and residual of each imaging round over the fields."""
    rounds: dict[int, list[dict[str, Any]]] = {}
    for field in fields:
        for entry in field["rounds"]:
            rounds.setdefault(entry["imaging_round"], []).append(entry)
    rows = []
    for number, entries in sorted(rounds.items()):
        residual = [entry["residual_px"] for entry in entries]
        drift = [float(np.hypot(entry["shift_y_px"], entry["shift_x_px"])) for entry in entries]
        fiducials = [entry["n_fiducials"] for entry in entries]
        rows.append((number, max(drift), float(np.median(residual)), max(residual), min(fiducials)))
    header = ("imaging round", "largest drift", "residual, median", "largest", "fewest fiducials")
    return Table("Registration against the first round, over the fields, in px.", header, rows)
