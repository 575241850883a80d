"""``cellsam-core decode``: raw rounds of imaging -> a folder of stains and transcripts."""

from __future__ import annotations

import functools
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from cellsam_core.decoding.decoded import DecodedWriter
    from cellsam_core.decoding.experiment import RawExperiment, RawField
    from cellsam_core.decoding.field import Calls, Detector
    from cellsam_core.decoding.registration import Drift

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="folder with raw rounds, see docs/decoding.md")
    parser.add_argument(
        "--format",
        choices=("auto", "merlin", "rounds"),
        default="auto",
        help="layout of the folder; auto finds out",
    )
    parser.add_argument(
        "--pixel-size-um", type=float, help="side of a pixel in um, wins over what the files say"
    )
    parser.add_argument(
        "--spot-sigma-px",
        type=float,
        default=1.3,
        help="standard deviation of a spot in px, about 0.21 wavelength / NA",
    )
    parser.add_argument(
        "--misidentification-rate",
        type=float,
        default=0.05,
        help="share of wrong calls to allow, measured by the codebook's blanks",
    )
    parser.add_argument(
        "--spotiflow",
        metavar="MODEL",
        help="find spots with the package spotiflow: folder of a trained model, or name of one",
    )
    parser.add_argument(
        "--spotiflow-probability",
        type=float,
        help="spots that it holds for less likely are dropped; without it the model's own limit",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from cellsam_core.decoding.decoded import DecodedWriter
    from cellsam_core.decoding.field import prepare_bits
    from cellsam_core.decoding.open_raw import open_raw
    from cellsam_core.mosaic import Mosaic
    from cellsam_core.samples.placement import refuse_scattered

    for name, most in (
        ("pixel_size_um", 1e6),
        ("spot_sigma_px", 20),
        ("misidentification_rate", 1),
        ("spotiflow_probability", 1),
    ):
        value = getattr(args, name)
        if value is not None and not 0 < value <= most:
            raise InputError(
                f"--{name.replace('_', '-')}",
                found=f"{value:g}",
                expected=f"a number above 0, at most {most:g}",
                remedy="correct the option",
            )
    prepare = functools.partial(
        prepare_bits, sigma_px=args.spot_sigma_px, detect=_open_detector(args)
    )
    raw = open_raw(args.path, args.format, args.pixel_size_um)
    if not raw.codebook.is_blank.any():
        log.warning("no word of the codebook is named a blank: the error rate is not measured")
    positions = [field.origin_um for field in raw.fields]
    refuse_scattered(args.path, np.array(positions) / raw.pixel_size_um, raw.shape_yx)
    mosaic = Mosaic.from_positions(positions, raw.shape_yx, raw.pixel_size_um)
    with DecodedWriter(args.output, raw.codebook, mosaic, list(raw.round_of_stain)) as writer:
        for index, field in enumerate(raw.fields):
            drifts = _register(raw, field)
            calls, quality = _decode(raw, field, drifts, prepare, writer, index)
            for stain, plane in field.stains.items():
                image = _in_place(raw.read(plane), drifts[raw.round_of_stain[stain]])
                writer.add_stain(index, stain, image)
            n_calls = writer.add_calls(index, field.name, calls)
            log.info("field %d of %d: %d candidates", index + 1, len(raw.fields), n_calls)
            writer.fields.append({"field": field.name, "n_candidates": n_calls} | quality)
        summary = writer.finish(args.misidentification_rate)
    log.info(json.dumps(summary))


def _open_detector(args: argparse.Namespace) -> Detector | None:
    """Open what finds spots, if it is not the filter alone."""
    from cellsam_core.decoding.spotiflow import open_spotiflow

    if args.spotiflow is not None:
        return open_spotiflow(args.spotiflow, args.spotiflow_probability)
    if args.spotiflow_probability is not None:
        raise InputError(
            "--spotiflow-probability",
            found="the option without --spotiflow",
            expected="a model whose spots have a probability",
            remedy="give the model as well, or leave the option out",
        )
    return None


def _register(raw: RawExperiment, field: RawField) -> dict[int, Drift]:
    """Measure the drift of each imaging round against the field's first."""
    from cellsam_core.decoding.registration import MIN_BEADS, measure_drift

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


def _decode(
    raw: RawExperiment,
    field: RawField,
    drifts: dict[int, Drift],
    prepare: Callable[..., NDArray[np.float32]],
    writer: DecodedWriter,
    index: int,
) -> tuple[Calls, dict[str, Any]]:
    """Decode all planes of a field; where there is no stain, also project its spots.

    `prepare` is `prepare_bits` with the options of the spots.
    """
    from cellsam_core.decoding.field import decode_plane, drop_duplicates, join

    of_bit = [drifts[number] for number in raw.round_of_bit]
    planes, dropouts, false_bits = [], [], []
    for z, bits in enumerate(field.bits):
        stack = prepare((raw.read(plane) for plane in bits), of_bit)
        calls, model = decode_plane(stack, raw.codebook, z)
        planes.append(calls)
        dropouts.append(model.dropout)
        false_bits.append(model.false_bit)
        if not raw.round_of_stain:
            writer.add_spots(index, stack.max(axis=0))
    quality = {
        "rounds": [
            {
                "imaging_round": number,
                "shift_y_px": float(drift.shift_yx[0]),
                "shift_x_px": float(drift.shift_yx[1]),
                "residual_px": drift.residual_px,
                "n_fiducials": drift.n_beads,
            }
            for number, drift in drifts.items()
        ],
        "dropout": sum(dropouts) / len(dropouts),
        "false_bit": sum(false_bits) / len(false_bits),
    }
    return drop_duplicates(join(planes)), quality


def _in_place(image: NDArray[np.generic], drift: Drift) -> NDArray[np.generic]:
    """Undo the drift of a stain's round; its grey values keep their type."""
    import numpy as np

    from cellsam_core.decoding.registration import undo_drift

    moved = undo_drift(image.astype(np.float32), drift.shift_yx)
    return np.rint(moved).astype(image.dtype)
