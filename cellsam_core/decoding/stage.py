"""Raw rounds of imaging -> a folder of stains and transcripts, as one function."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.decoding.decoded import DecodedWriter
from cellsam_core.decoding.field import decode_plane, drop_duplicates, join, prepare_bits
from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.decoding.options import DecodeOptions
from cellsam_core.decoding.registration import MIN_BEADS, measure_drift, undo_drift
from cellsam_core.decoding.spotiflow import open_spotiflow
from cellsam_core.errors import InputError
from cellsam_core.mosaic import Mosaic
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.placement import refuse_scattered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.decoding.experiment import RawExperiment, RawField
    from cellsam_core.decoding.field import Detector
    from cellsam_core.decoding.registration import Drift

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decoded:
    """Result of :func:`decode`.

    Attributes
    ----------
    folder
        The folder that was written: stains as TIFF, ``transcripts.parquet``, the transform of the
        mosaic and ``decode_qc.json``. :func:`cellsam_core.inspect` reads it as a tissue.
    summary
        Numbers of genes, blanks and their calls, the misidentification rate that they have (None
        without blanks) and the threshold of the log odds that was chosen for it.
    """

    folder: Path
    summary: dict[str, Any]


def decode(
    path: str | Path,
    output: str | Path,
    options: DecodeOptions | None = None,
    *,
    format: str = "auto",
    pixel_size_um: float | None = None,
) -> Decoded:
    """Register raw rounds of MERFISH or seqFISH, find spots in them and decode these.

    Parameters
    ----------
    path
        Folder with raw rounds, see docs/decoding.md.
    output
        Folder to write; it appears when complete.
    options
        Options of detecting and decoding spots; the defaults without it.
    format
        ``"merlin"``, ``"rounds"``, or ``"auto"``, which takes whichever the folder holds.
    pixel_size_um
        Side of a pixel in micrometres, wins over what the files say.

    Returns
    -------
    Decoded
        The folder and a summary of the calls.

    Raises
    ------
    InputError
        The folder holds no raw rounds, a file or entry is missing or contradicts another, or a
        round shows too few fiducials.

    Examples
    --------
    >>> import tempfile
    >>> import cellsam_core as cc
    >>> folder = tempfile.TemporaryDirectory()
    >>> small = cc.TissueOptions(size_px=96, cells=3, transcripts=150)
    >>> raw = f"{folder.name}/raw"
    >>> _ = cc.simulate_tissue(raw, seed=1, options=small, raw_rounds=True)
    >>> decoded = cc.decode(f"{folder.name}/raw", f"{folder.name}/0_decoded")
    >>> decoded.summary["n_genes"], decoded.summary["n_blanks"]
    (40, 30)
    >>> sorted(file.name for file in decoded.folder.glob("*.tif"))
    ['DAPI.tif', 'PolyT.tif']
    """
    InspectOptions(pixel_size_um=pixel_size_um)  # refuses one that is not positive
    raw = open_raw(path, format, pixel_size_um)
    return decode_experiment(path, raw, output, options or DecodeOptions())


def decode_experiment(
    path: str | Path, raw: RawExperiment, output: str | Path, options: DecodeOptions
) -> Decoded:
    """Decode opened raw rounds; see :func:`decode`.

    Parameters
    ----------
    path
        Folder of the raw rounds, for messages.
    raw
        The rounds, or part of their fields and planes.
    output
        Folder to write.
    options
        Options of detecting and decoding spots.
    """
    detect = None
    if options.spotiflow is not None:
        detect = open_spotiflow(options.spotiflow, options.spotiflow_probability)
    if not raw.codebook.is_blank.any():
        log.warning("no word of the codebook is named a blank: the error rate is not measured")
    mosaic, stains = _mosaic(path, raw), list(raw.round_of_stain)
    with DecodedWriter(Path(output), raw.codebook, mosaic, stains) as writer:
        for index in range(len(raw.fields)):
            writer.fields.append(_decode_field(raw, index, writer, options.spot_sigma_px, detect))
        summary = writer.finish(options.misidentification_rate)
    return Decoded(Path(output), summary)


def _mosaic(path: str | Path, raw: RawExperiment) -> Mosaic:
    positions = [field.origin_um for field in raw.fields]
    refuse_scattered(path, np.array(positions) / raw.pixel_size_um, raw.shape_yx)
    return Mosaic.from_positions(positions, raw.shape_yx, raw.pixel_size_um)


def _decode_field(
    raw: RawExperiment,
    index: int,
    writer: DecodedWriter,
    sigma_px: float,
    detect: Detector | None,
) -> dict[str, Any]:
    """Decode all planes of a field and write its stains and calls; without stains, its spots.

    Returns
    -------
    dict
        Quality of the field, for the report.
    """
    field = raw.fields[index]
    drifts = _register(raw, field)
    of_bit = [drifts[number] for number in raw.round_of_bit]
    planes, models = [], []
    for z, bits in enumerate(field.bits):
        stack = prepare_bits((raw.read(plane) for plane in bits), of_bit, sigma_px, detect)
        calls, model = decode_plane(stack, raw.codebook, z)
        planes.append(calls)
        models.append(model)
        if not raw.round_of_stain:
            writer.add_spots(index, stack.max(axis=0))
    for stain, plane in field.stains.items():
        image = _in_place(raw.read(plane), drifts[raw.round_of_stain[stain]])
        writer.add_stain(index, stain, image)
    n_calls = writer.add_calls(index, field.name, drop_duplicates(join(planes)))
    log.info("field %d of %d: %d candidates", index + 1, len(raw.fields), n_calls)
    return {
        "field": field.name,
        "n_candidates": n_calls,
        "rounds": [_quality(number, drift) for number, drift in drifts.items()],
        "dropout": sum(model.dropout for model in models) / len(models),
        "false_bit": sum(model.false_bit for model in models) / len(models),
    }


def _register(raw: RawExperiment, field: RawField) -> dict[int, Drift]:
    """Measure the drift of each imaging round against the field's first."""
    rounds = sorted(field.fiducials)
    reference = raw.read(field.fiducials[rounds[0]])
    drifts = {n: measure_drift(reference, raw.read(field.fiducials[n])) for n in rounds}
    for number, drift in drifts.items():
        if drift.n_beads < MIN_BEADS:
            raise InputError(
                field.fiducials[number].path,
                found=f"{drift.n_beads} fiducials that the first round shows as well",
                expected=f"{MIN_BEADS} or more in field {field.name!r}",
                remedy="check the fiducial's page, or leave the field out",
            )
    return drifts


def _quality(number: int, drift: Drift) -> dict[str, Any]:
    return {
        "imaging_round": number,
        "shift_y_px": float(drift.shift_yx[0]),
        "shift_x_px": float(drift.shift_yx[1]),
        "residual_px": drift.residual_px,
        "n_fiducials": drift.n_beads,
    }


def _in_place(image: NDArray[np.generic], drift: Drift) -> NDArray[np.generic]:
    """Undo the drift of a stain's round; its grey values keep their type."""
    moved = undo_drift(image.astype(np.float32), drift.shift_yx)
    return np.rint(moved).astype(image.dtype)
