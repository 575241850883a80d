"""Check of the alignment of raw rounds: rounds, colours and fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.decoding.quality import decoding_quality
from cellsam_core.verdict import limits
from cellsam_core.verdict.checks import Check, Measure

if TYPE_CHECKING:
    from pathlib import Path


def alignment_check(folder: Path) -> Check | None:
    """Judge the alignment of raw rounds; None for samples that were decoded elsewhere.

    Parameters
    ----------
    folder
        Results of the sample.

    Raises
    ------
    InputError
        ``decode_qc.json`` is damaged.
    """
    with decoding_quality(folder) as quality:
        if quality is None:
            return None
        measures = [_residual(quality)]
        if quality.get("stage", {}).get("n_fields", 1) > 1:
            measures.append(_placed(quality["stage"]))
    return Check("alignment", "Alignment of raw rounds", "decoding", tuple(measures))


def _residual(quality: dict[str, Any]) -> Measure:
    """Find the worst of the median residuals."""
    rounds = [entry["residual_px"] for field in quality["fields"] for entry in field["rounds"]]
    found = {"rounds": float(np.median(rounds))} if rounds else {}
    for item in quality.get("colours", [])[1:]:
        if item["is_aligned"]:
            found[f"colour {item['name']}"] = item["residual_px"]
    stage = quality.get("stage", {}).get("residual_px")
    if stage is not None:
        found["overlaps"] = stage
    if not found:
        return Measure(limits.ALIGNMENT, None, "There is no field.")
    said = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    return Measure(limits.ALIGNMENT, max(found.values()), f"Median residuals in px: {said}.")


def _placed(stage: dict[str, Any]) -> Measure:
    """Count the fields whose position was refined."""
    share = 100 * stage["n_linked_fields"] / stage["n_fields"]
    said = f"{stage['n_linked_fields']} of {stage['n_fields']} fields were placed by overlaps."
    return Measure(limits.PLACED, share, said)
