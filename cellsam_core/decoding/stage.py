"""Raw rounds of imaging -> a folder of stains and transcripts, as one function."""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.decoding.align import align_colours
from cellsam_core.decoding.bit_order import check_order, list_orders
from cellsam_core.decoding.decode_field import decode_field
from cellsam_core.decoding.field_files import (
    BATCH_NAME,
    FieldFiles,
    field_key,
    field_settings,
    fields_of,
    write_field,
)
from cellsam_core.decoding.joining import join
from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.decoding.options import DecodeOptions
from cellsam_core.decoding.spotiflow import open_spotiflow
from cellsam_core.files.atomic import atomic_path, exclusive
from cellsam_core.files.batch_names import share_of, sort_batches
from cellsam_core.options import options_of
from cellsam_core.samples.options import InspectOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.decoding.colours import Colour
    from cellsam_core.decoding.experiment import RawExperiment
    from cellsam_core.decoding.field import Detector

log = logging.getLogger(__name__)

FIELDS_NAME = ".fields"


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
    options = options_of(DecodeOptions, options)
    InspectOptions(pixel_size_um=pixel_size_um)  # refuses one that is not positive
    raw = open_raw(path, format, pixel_size_um)
    return decode_experiment(path, raw, output, options)


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
    with atomic_path(output) as root:
        root.mkdir()
        fields = root / FIELDS_NAME
        fields.mkdir()
        decoder = FieldDecoder(raw, options)
        found = [decoder.write(number, fields) for number in range(len(raw.fields))]
        summary = join(path, raw, found, root, options)
        shutil.rmtree(fields)
    return Decoded(Path(output), summary)


def decode_batch(
    raw: RawExperiment,
    output: Path,
    options: DecodeOptions,
    batch: tuple[int, int] = (1, 1),
    colours: dict[str, Colour] | None = None,
) -> None:
    """Decode one share of the fields of raw rounds, for :func:`join_fields`.

    A job that was killed goes on where it stopped when it is run again.

    Parameters
    ----------
    raw
        The rounds.
    output
        Folder to write, named ``K-of-N``, with one folder for each field. Until it is complete, its
        fields lie in ``<output>.parts``.
    options
        Options of detecting and decoding spots. The error rate has no effect here, because it is
        that of all fields together.
    batch
        Number of the batch, from 1, and number of batches.
    colours
        Transforms of the colours, from :func:`.align.align_colours`; without them they are
        measured first, in fields of the whole slide.

    Raises
    ------
    InputError
        An image can't be read, or a round shows too few fiducials.
    """
    numbers = share_of(len(raw.fields), *batch)
    parts = output.with_name(f"{output.name}.parts")
    with exclusive(parts):
        parts.mkdir(exist_ok=True)
        decoder = FieldDecoder(raw, options, colours)
        names = [decoder.write(number, parts).folder.name for number in numbers]
        for folder in parts.iterdir():
            if folder.is_dir() and folder.name not in names:
                shutil.rmtree(folder)  # of other batches of an earlier run
        (parts / BATCH_NAME).write_text(json.dumps({"fields": names}) + "\n", encoding="utf-8")
        with atomic_path(output) as temporary:
            parts.rename(temporary)


def join_fields(
    path: str | Path,
    raw: RawExperiment,
    batches: Sequence[Path],
    output: Path,
    options: DecodeOptions,
) -> Decoded:
    """Join the decoded fields of a slide: the result of :func:`decode`, for any number of batches.

    Parameters
    ----------
    path
        Folder of the raw rounds, for messages.
    raw
        The rounds.
    batches
        All folders that :func:`decode_batch` wrote, named ``K-of-N``.
    output
        Folder to write.
    options
        Options of decoding.

    Raises
    ------
    InputError
        A batch is missing, or the batches are of other rounds.
    """
    fields = fields_of(sort_batches(list(batches), "decode-batch"), len(raw.fields))
    with atomic_path(output) as root:
        root.mkdir()
        summary = join(path, raw, fields, root, options)
    return Decoded(output, summary)


class FieldDecoder:
    """Decodes the fields of raw rounds, one by one, and writes each to a folder.

    Parameters
    ----------
    raw
        The rounds.
    options
        Options of detecting and decoding spots.
    colours
        Transforms of the colours; None measures them.
    """

    def __init__(
        self,
        raw: RawExperiment,
        options: DecodeOptions,
        colours: dict[str, Colour] | None = None,
    ) -> None:
        self._raw, self._sigma_px = raw, options.spot_sigma_px
        self._colours = align_colours(raw, self._sigma_px) if colours is None else colours
        self._settings = field_settings(options, self._colours)
        self._orders = list_orders(raw)
        self._n_words = np.zeros((1 + len(self._orders), 3), dtype=np.int64)
        self._detect: Detector | None = None
        if options.spotiflow is not None:
            self._detect = open_spotiflow(options.spotiflow, options.spotiflow_probability)
        if not raw.codebook.is_blank.any():
            log.warning("no word of the codebook is named a blank: the error rate is not measured")

    def write(self, number: int, folder: Path) -> FieldFiles:
        """Decode a field into a folder of its own in `folder`, unless it is there already."""
        field, own = self._raw.fields[number], folder / f"{number:06d}"
        key = field_key(self._raw, field, self._settings)
        found = FieldFiles(own)
        if own.is_dir() and found.is_of(key):
            log.info("field %d of %d is there already", number + 1, len(self._raw.fields))
        else:
            decoded = decode_field(self._raw, field, self._sigma_px, self._detect, self._colours)
            found = write_field(own, decoded, key, self._settings)
        # A wrong table of the rounds is told after the first fields, not after the last.
        self._n_words += found.n_words()
        files = [plane.path for bits in field.bits for plane in bits]
        check_order(os.path.commonpath(files), self._orders, self._n_words)
        return found
