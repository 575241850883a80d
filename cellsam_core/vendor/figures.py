"""Figures that compare both kinds of cells, and sentences that say in which direction they go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.evaluation.segmentation import match

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy.sparse import csr_matrix

    from cellsam_core.assignment.purity.result import Purity
    from cellsam_core.evaluation.segmentation import Overlaps
    from cellsam_core.vendor.counts import BothCounts

THRESHOLDS = (0.25, 0.5)
FEW = 10
MIN_DIFFERENCE = 0.05


def side_figures(
    counts: csr_matrix,
    n_rows: int,
    n_controls: int,
    area_um2: npt.NDArray[Any],
    purity: Purity,
) -> dict[str, Any]:
    """Describe one kind of cells."""
    each = np.asarray(counts.sum(axis=1)).ravel()
    genes = np.diff(counts.indptr)
    n = len(each)
    return {
        "n_cells": n,
        "capture": float(each.sum() / max(n_rows, 1)),
        "median_transcripts": float(np.median(each)) if n else None,
        "median_genes": float(np.median(genes)) if n else None,
        "n_below_10": int((each < FEW).sum()),
        "median_area_um2": float(np.median(area_um2)) if n else None,
        "controls_per_transcript": float(n_controls / max(each.sum(), 1)),
        "purity": purity.purity,
        "purity_error": purity.error,
        "auto_um": purity.auto_um,
        "profile_gain": purity.profile_gain,
        "purity_reason": purity.reason,
    }


def match_figures(overlaps: Overlaps, counts: BothCounts, threshold: float) -> dict[str, Any]:
    """Compare the cells that match with an IoU of at least `threshold`."""
    pairs = match(overlaps, threshold)
    rows, columns = overlaps.rows[pairs], overlaps.columns[pairs]
    n = len(pairs)
    figures: dict[str, Any] = {
        "iou": threshold,
        "matched": n,
        "gained": overlaps.n_predicted - n,
        "lost": overlaps.n_true - n,
        "median_iou": float(np.median(overlaps.iou[pairs])) if n else None,
        "r_totals": None,
        "r_counts": None,
    }
    if n < 2:
        return figures
    a, b = counts.ours[rows].astype(float), counts.theirs[columns].astype(float)
    totals = [np.asarray(each.sum(axis=1)).ravel() for each in (a, b)]
    spread = totals[0].std() * totals[1].std()
    figures["r_totals"] = float(np.corrcoef(totals[0], totals[1])[0, 1]) if spread > 0 else None
    figures["r_counts"] = _correlation(a, b)
    return figures


def _correlation(a: csr_matrix, b: csr_matrix) -> float | None:
    """Pearson's correlation of all entries, zeros included, without a dense matrix."""
    n = a.shape[0] * a.shape[1]
    means = [float(each.sum()) / n for each in (a, b)]
    variances = [
        float(each.multiply(each).sum()) / n - mean**2
        for each, mean in zip((a, b), means, strict=True)
    ]
    if min(variances) <= 0:
        return None
    together = float(a.multiply(b).sum()) / n - means[0] * means[1]
    return float(together / np.sqrt(variances[0] * variances[1]))


def sentences(record: dict[str, Any]) -> list[str]:
    """Say what the figures mean, each with its direction; there is no overall score."""
    ours, theirs = record["ours"], record["vendor"]
    said = [
        f"We found {ours['n_cells']} cells, and the vendor {theirs['n_cells']}."
        f" {record['matches'][-1]['matched']} of them match one to one with an IoU of 0.5 or more."
    ]
    gap = ours["capture"] - theirs["capture"]
    if abs(gap) < MIN_DIFFERENCE:
        said.append("Both kinds of cells hold about as many of the transcripts.")
    else:
        more = "Our cells hold" if gap > 0 else "The vendor's cells hold"
        said.append(
            f"{more} more of the transcripts ({ours['capture']:.0%} in ours,"
            f" {theirs['capture']:.0%} in the vendor's). Larger cells always do: this is no sign"
            " of quality without the purity."
        )
    if ours["purity"] is None or theirs["purity"] is None:
        why = ours["purity_reason"] or theirs["purity_reason"]
        said.append(f"The purity of the two can't be compared. {why}".strip())
    else:
        gap = ours["purity"] - theirs["purity"]
        error = float(np.hypot(ours["purity_error"], theirs["purity_error"]))
        is_small = abs(gap) < max(MIN_DIFFERENCE, error)
        word = "about as pure" if is_small else "purer" if gap > 0 else "less pure"
        said.append(
            f"Our cells are {word}{' as' if 'about' in word else ' than'} the vendor's:"
            f" {ours['purity']:.0%} (± {ours['purity_error']:.0%}, one standard error) and"
            f" {theirs['purity']:.0%} (± {theirs['purity_error']:.0%}) of the transcripts are the"
            " cells' own, or rather fewer."
        )
    for key, words in (
        ("n_merged", "of our cells hold most of two or more of the vendor's"),
        ("n_split", "of the vendor's cells hold most of two or more of ours"),
    ):
        if record[key]:
            said.append(f"{record[key]} {words}.")
    return said
