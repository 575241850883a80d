"""Transcripts and masks -> whose the transcripts in cells and around them are, as one function."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.assignment.inputs import manifest_of, place
from cellsam_core.assignment.options import AssignInputOptions
from cellsam_core.assignment.purity.curve import (
    auto_um,
    best_um,
    measure_curve,
    purity_at,
    with_totals,
)
from cellsam_core.assignment.purity.molecules import choose_windows, read_molecules
from cellsam_core.assignment.purity.options import PurityOptions
from cellsam_core.assignment.purity.result import Purity, record_of
from cellsam_core.assignment.purity.windows import Windows, Zones
from cellsam_core.labels.image import as_label_image
from cellsam_core.labels.tiles import measure_cells
from cellsam_core.options import options_of
from cellsam_core.samples.affine import pixel_size_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from cellsam_core.labels.tiles import LabelTiles
    from cellsam_core.samples.manifest import Manifest, TranscriptSource

log = logging.getLogger(__name__)


def estimate_purity(
    transcripts: pd.DataFrame | str | Path | Manifest,
    labels: Any,
    options: PurityOptions | None = None,
    *,
    expand_um: float = 0.0,
    pixel_size_um: float | None = None,
    inputs: AssignInputOptions | None = None,
    panel: Sequence[str | Path] = (),
) -> Purity:
    """Estimate how many of the transcripts in cells are the cells' own, without a reference.

    Cell types are learnt from transcripts deep inside of cells. The transcripts in each ring
    around the masks then tell if they are of the type of the cell, or of its neighbour's.
    Nothing is said where types can't be told apart: :attr:`Purity.reason` says why.

    Parameters
    ----------
    transcripts
        As for :func:`cellsam_core.assign`.
    labels
        Label image of the cells ``(y, x)``, before they grow, as for :func:`cellsam_core.assign`.
    options
        Options of the estimate; the defaults without it.
    expand_um
        Distance by which the cells are grown, in micrometres; :attr:`Purity.purity` is that of
        the grown cells.
    pixel_size_um
        Side of a pixel in micrometres; not with a manifest, and not needed with labels whose file
        says it.
    inputs
        What is done where transcripts and cells hardly meet, and which transcripts are left out.
    panel
        Files that name the genes and controls of the whole panel.

    Returns
    -------
    Purity
        Purity, how far cells should grow, and the shares of each ring.

    Raises
    ------
    InputError
        The transcripts or cells can't be used, or do not belong together.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import cellsam_core as cc
    >>> labels = np.zeros((40, 40), dtype=np.uint32)
    >>> labels[10:20, 10:20] = 1
    >>> table = pd.DataFrame({"gene": ["Gad1"] * 3, "x_um": [7.0, 8, 9], "y_um": [7.0, 8, 9]})
    >>> purity = cc.estimate_purity(table, labels, pixel_size_um=0.5)
    >>> purity.purity is None, purity.auto_um
    (True, 0.0)
    >>> purity.reason
    "Purity can't be measured: there are too few cells with transcripts inside."
    """
    options = options_of(PurityOptions, options)
    inputs = options_of(AssignInputOptions, inputs, "inputs")
    image = as_label_image(labels, "labels")
    source = place(transcripts, manifest_of(transcripts), pixel_size_um, image, inputs)
    measured = measure_cells(image.tiles)
    windows = windows_of(source, image.tiles, measured)
    found = measure_purity(source, windows, measured, options, panel=panel)
    return found if expand_um == 0 else grown(found, expand_um)


def measure_purity(
    source: TranscriptSource,
    windows: Windows,
    measured: pd.DataFrame,
    options: PurityOptions,
    *,
    panel: Sequence[str | Path] = (),
) -> Purity:
    """Measure the purity of masks that are not grown.

    Parameters
    ----------
    source
        The transcripts.
    windows
        Surroundings of the masks, see :func:`windows_of`.
    measured
        Centroid ``x, y`` and ``area_px`` of each mask, in pixels.
    options
        Options of the estimate.
    panel
        Files that name the genes and controls of the panel, beside those of `source`.
    """
    molecules = read_molecules(source, windows, choose_windows(windows, measured), panel)
    curve = measure_curve(molecules, windows.zones)
    if curve.reason:
        log.info("%s", curve.reason)
    types, found = curve.types, purity_at(curve, 0.0)
    return Purity(
        purity=None if found is None else found.value,
        error=None if found is None else found.error,
        expand_um=0.0,
        auto_um=auto_um(curve, options.min_ring_purity),
        best_um=best_um(curve),
        reason=curve.reason,
        profile_gain=None if types is None else types.gain,
        rings=with_totals(curve),
        record=record_of(curve),
        curve=curve,
    )


def windows_of(source: TranscriptSource, tiles: LabelTiles, measured: pd.DataFrame) -> Windows:
    """Divide the surroundings of the masks of a sample; see :func:`measure_purity`."""
    pixel_size_um = pixel_size_of(np.array(source.um_to_px))
    area_px = float(np.median(measured["area_px"])) if len(measured) else 0.0
    zones = Zones.of(pixel_size_um, float(np.sqrt(area_px / np.pi)) * pixel_size_um)
    return Windows(tiles, zones, None if source.fields is None else source.fields.layout)


def grown(purity: Purity, expand_um: float) -> Purity:
    """Return the purity of the cells after they have grown."""
    found, reach = purity_at(purity.curve, expand_um), float(purity.rings["to_um"].max())
    reason = purity.reason
    if not reason and expand_um > reach:
        reason = (
            f"Purity is measured up to {reach:g} µm from the masks, not up to {expand_um:g} µm."
        )
    value, error = (None, None) if found is None else found
    return replace(purity, purity=value, error=error, expand_um=expand_um, reason=reason)
