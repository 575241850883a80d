"""Stage ``inspect``: a sample's folder -> its manifest."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.options import options_of
from cellsam_core.samples.options import InspectOptions, SampleOptions
from cellsam_core.samples.sources import words, words_of_roles, words_of_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.samples.options import Assay

DEFAULTS = InspectOptions()
UNNAMED = "sample"


def inspect(
    path: str | Path,
    *,
    assay: Assay,
    sample: str | None = None,
    options: InspectOptions = DEFAULTS,
) -> Manifest:
    """Read the headers of a sample's files and describe the sample.

    Parameters
    ----------
    path
        Folder or file with the raw data.
    assay
        Kind of experiment: ``movie``, ``merfish`` or ``seqfish``.
    sample
        Name of the sample. Without it, the name of the folder or file is taken; characters that
        a name must not have become dashes.
    options
        Layout of the files, and what the files do not say or say wrongly.

    Returns
    -------
    Manifest
        Channels, frames, pixel size, frame interval, and the place of each image plane and of
        the transcripts. :meth:`Manifest.save` writes it.

    Raises
    ------
    InputError
        Files are missing, damaged, or contradict each other or the options.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> folder = tempfile.TemporaryDirectory()
    >>> for name in ("DAPI_t0", "DAPI_t1", "YFP_t0", "YFP_t1"):
    ...     tifffile.imwrite(f"{folder.name}/{name}.tif", np.ones((32, 48), np.uint16))
    >>> options = cc.InspectOptions(pixel_size_um=0.65, frame_interval_s=60)
    >>> manifest = cc.inspect(folder.name, assay="movie", sample="pos1", options=options)
    >>> manifest.n_frames, manifest.shape_yx, manifest.channels
    (2, (32, 48), ['DAPI', 'YFP'])
    >>> folder.cleanup()
    """
    options = options_of(InspectOptions, options)
    name = _name_of(path) if sample is None else sample
    SampleOptions(sample=name, assay=assay, path=str(path))
    read = _inspect_movie if assay == "movie" else _inspect_tissue
    manifest = read(path, name, assay, options)
    size = manifest.pixel_size_um
    if size is not None and not (math.isfinite(size) and size > 0):
        raise InputError(
            "pixel_size_um",
            found=f"{size:g}",
            expected="a number above 0",
            remedy="write the true one into the column `pixel_size_um` of the sample sheet",
        )
    return manifest


def summary(manifest: Manifest) -> str:
    """Describe a manifest, one line for each fact."""
    height, width = manifest.shape_yx
    pixel, interval = manifest.pixel_size_um, manifest.frame_interval_s
    lines = [
        f"{manifest.sample}: {manifest.assay}, format {manifest.format}",
        f"  {manifest.n_frames} frame(s) of {height} x {width} px, {manifest.dtype}",
        f"  channels: {', '.join(manifest.channels)}",
        f"  pixel size: {f'{pixel:g} um' if pixel else 'not known'}"
        + words(manifest.sources, "pixel_size_um"),
    ]
    if manifest.kit:
        lines.append(f"  {words_of_roles(manifest.kit)}, from the names of channels")
    if manifest.assay == "movie":
        told = f"{interval:g} s" if interval else "not known"
        if manifest.frame_times_s and not interval:
            told = f"uneven, {manifest.frame_times_s[-1]:g} s from the first to the last frame"
        told += words(manifest.sources, "frame_interval_s")
        lines.append(f"  frame interval: {told}")
    if manifest.transcripts is not None:
        unit = words_of_unit(manifest.transcripts)
        lines.append(f"  transcripts: {manifest.transcripts.n_rows}{unit}")
    return "\n".join(lines + [f"  note: {sentence}" for sentence in manifest.warnings])


def split_channels(given: str | Sequence[str] | None) -> list[str] | None:
    """Return the names of channels; text is split at commas, and no text gives None.

    Raises
    ------
    InputError
        A name is empty or given twice.
    """
    if not given:
        return None
    names = given.split(",") if isinstance(given, str) else given
    channels = [name.strip() for name in names]
    if "" in channels or len(set(channels)) < len(channels):
        raise InputError(
            "channels",
            found=repr(given),
            expected="different names separated by commas, such as DAPI,YFP",
            remedy="correct the names of the channels",
        )
    return channels


def _name_of(path: str | Path) -> str:
    """Make the name of a sample from that of its folder or file."""
    resolved = Path(path).expanduser().resolve()
    name = resolved.stem if resolved.is_file() else resolved.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-") or UNNAMED


def _inspect_movie(path: str | Path, name: str, assay: Assay, options: InspectOptions) -> Manifest:
    from cellsam_core.samples.movies import inspect_movie

    of_planes = ("z_plane", "z_policy")  # movies have these, too
    given = {k: v for k, v in _given_for_transcripts(options).items() if k not in of_planes}
    if given:
        chosen = "; the column `position` chooses one of a movie" if "fov" in given else ""
        raise InputError(
            ", ".join(given),
            found=f"{', '.join(map(str, given.values()))} for a movie",
            expected="nothing, because these options choose fields and transcripts of tissues",
            remedy=f"leave the columns empty{chosen}",
        )
    return inspect_movie(
        path,
        sample=name,
        assay=assay,
        format=options.format,
        pixel_size_um=options.pixel_size_um,
        frame_interval_s=options.frame_interval_s,
        channels=split_channels(options.channels),
        pattern=options.pattern,
        position=options.position,
        z_policy=options.z_policy,
        z_plane=options.z_plane,
    )


def _inspect_tissue(path: str | Path, name: str, assay: Assay, options: InspectOptions) -> Manifest:
    from cellsam_core.samples.spatial import inspect_spatial

    if options.frame_interval_s is not None:
        raise InputError(
            "frame_interval_s",
            found=f"{options.frame_interval_s:g} for a {assay} sample",
            expected="nothing, the sample has no frames",
            remedy="leave the column empty",
        )
    if options.pattern is not None or options.position is not None:
        raise InputError(
            "pattern, position",
            found=f"{options.pattern or options.position} for a {assay} sample",
            expected="nothing, because they are for movies",
            remedy="leave the columns empty",
        )
    return inspect_spatial(
        path,
        sample=name,
        assay=assay,
        format=options.format,
        pixel_size_um=options.pixel_size_um,
        channels=split_channels(options.channels),
        **_given_for_transcripts(options),
    )


def _given_for_transcripts(options: InspectOptions) -> dict[str, Any]:
    """Return the options of transcripts that are given, by name."""
    keys = ("fov", "z_plane", "z_policy", "min_qv", "outside", "orientation")
    values = {key: getattr(options, key) for key in keys}
    return {key: value for key, value in values.items() if value is not None}
