"""Stage ``preprocess``: raw images -> the segmentation channels with even contrast."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.facts import write_facts
from cellsam_core.files.kept import keep_inputs
from cellsam_core.files.lazy import zarr
from cellsam_core.files.pyramid import PyramidWriter
from cellsam_core.options import options_of, refuse_no_path
from cellsam_core.preprocessing import contrast
from cellsam_core.preprocessing.channels import choose_roles, is_fused, name_stains
from cellsam_core.preprocessing.frames import Frames
from cellsam_core.preprocessing.images import ArrayFacts, open_images
from cellsam_core.preprocessing.options import PreprocessOptions
from cellsam_core.preprocessing.planes import open_plane, records_for
from cellsam_core.samples.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.files.options import OmeZarrVersion
    from cellsam_core.models import Preset
    from cellsam_core.preprocessing.images import RawImages
    from cellsam_core.preprocessing.planes import FusionRecord, Read

logger = logging.getLogger(__name__)

DEFAULTS = PreprocessOptions()
MAX_UINT16 = 65535


def preprocess(
    sample: Manifest | str | Path | NDArray[Any],
    output: str | Path | None = None,
    options: PreprocessOptions = DEFAULTS,
    *,
    weights: str = "tiny",
    preset: Preset = "official",
    channels: str | Sequence[str] | None = None,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    ome_zarr: OmeZarrVersion = "0.5",
) -> OmeZarr | Frames:
    """Choose the channels to segment, clip them at a percentile and equalise their contrast.

    Parameters
    ----------
    sample
        Manifest, path of a ``0_manifest.json``, or array: an image ``(y, x)`` or ``(c, y, x)``,
        or a movie ``(t, c, y, x)``, of any real type. With the name of one channel, an array
        ``(t, y, x)`` is a movie.
    output
        Folder ``frames.zarr`` to write; without it, the frames are returned in memory.
    options
        Channels, percentile and adaptive histogram equalisation.
    weights, preset
        Weights that will segment, and their preset. They decide on the adaptive histogram
        equalisation (`clahe_clip_limit` ``auto``) and on how colours are used.
    channels
        Names of an array's channels. A nuclear stain is recognised by names such as ``DAPI``,
        ``H2B`` or ``nuclear``, a cell stain by ``PolyT``, ``phase`` or ``cell``. A single
        channel needs no name.
    pixel_size_um, frame_interval_s
        Side of a pixel in micrometres and seconds between frames of an array, if they are known.
    ome_zarr
        Version of OME-Zarr of `output`.

    Returns
    -------
    OmeZarr or Frames
        Frames of type uint16, axes ``tcyx`` for a movie and ``cyx`` for a single image or a
        tissue, with the channels ``nuclear`` and/or ``cell``. 0 to 65535 stand for 0 to 1.

    Raises
    ------
    InputError
        A channel is not there or can't be guessed, or an image can't be read.

    Examples
    --------
    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> movie = np.random.default_rng(0).poisson(50, (3, 2, 32, 48)).astype(np.uint16)
    >>> frames = cc.preprocess(movie, channels=["H2B", "YFP"])
    >>> frames.axes, frames.channels, frames.array.shape
    ('tcyx', ('nuclear',), (3, 1, 32, 48))
    """
    refuse_no_path(output)
    options = options_of(PreprocessOptions, options)
    contrast_options = options.for_weights(weights, preset)
    if isinstance(sample, str | Path):
        sample = Manifest.load(sample)
    if isinstance(sample, Manifest) and output is not None and Path(output).exists():
        planes = [plane for frame in sample.planes for plane in frame]
        keep_inputs(Path(output).parent, [Path(output).name], *planes)
    images = open_images(sample, ArrayFacts(channels, pixel_size_um, frame_interval_s))
    roles = choose_roles(images, options.nuclear_channel, options.cell_channel, weights)
    axes = "tcyx" if images.is_movie else "cyx"
    shape = (*((images.n_frames,) if images.is_movie else ()), len(roles), *images.shape_yx)
    scales = images.pixel_size_um, images.frame_interval_s
    fused = records_for(roles)
    if output is None:
        array = np.zeros(shape, np.uint16)
        for plane, y0, rows in _planes(images, roles, contrast_options, fused):
            array[plane][y0 : y0 + len(rows)] = rows
        told = {role: record.as_json() for role, record in fused.items()}
        return Frames(array, axes, tuple(roles), *scales, told)
    for role, names in roles.items():
        how = ", fused by their local signal to noise" if is_fused(names) else ""
        logger.info("%s channel: %s%s", role, name_stains(names), how)
    progress = _Progress(images.n_frames * len(roles) * images.shape_yx[0])
    with atomic_path(output) as temporary:
        store = omezarr.create(
            temporary,
            shape=shape,
            axes=axes,
            dtype="uint16",
            channels=tuple(roles),
            pixel_size_um=scales[0],
            frame_interval_s=scales[1],
            version=ome_zarr,
        )
        write_facts(temporary, images.facts)
        record: dict[str, Any] = {
            "channels": roles,
            "guessed": not (options.nuclear_channel or options.cell_channel),
            "clip_percentile": contrast_options.clip_percentile,
            "clahe_clip_limit": contrast_options.clip_limit,
        }
        with PyramidWriter(store) as pyramid:
            for plane, y0, rows in _planes(images, roles, contrast_options, fused):
                pyramid.write(plane, y0, rows)
                progress.add(len(rows))
        if fused:
            record["fusion"] = {role: of.as_json() for role, of in fused.items()}
        zarr.open_group(str(temporary)).attrs["cellsam"] = record
    return omezarr.open_(output)


def _planes(
    images: RawImages,
    roles: dict[str, list[str]],
    options: PreprocessOptions,
    fused: dict[str, FusionRecord],
) -> Iterator[tuple[tuple[int, ...], int, NDArray[np.uint16]]]:
    """Yield the processed rows of all frames, with their plane and the number of the first.

    What is fused is added to the records in `fused`.
    """
    for frame in range(images.n_frames):
        for c, (role, names) in enumerate(roles.items()):
            plane = open_plane(images, frame, names, fused.get(role))
            for y0, rows in _bands(images, plane, options):
                yield (
                    (frame, c) if images.is_movie else (c,),
                    y0,
                    np.round(rows * MAX_UINT16).astype(np.uint16),
                )


def _bands(
    images: RawImages, plane: Read, options: PreprocessOptions
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Process a plane at once if it is small, else by bands of rows."""
    height, width = images.shape_yx

    def read(y0: int, y1: int, x0: int = 0, x1: int = width) -> NDArray[np.generic]:
        return plane((y0, y1, x0, x1))

    limits = None
    if images.fields is not None:
        # What lies between fields of view is no image, and has no part in the contrast.
        h, w = images.fields.shape_yx
        fields = (read(y, y + h, x, x + w) for y, x in images.fields.offset_yx)
        n_pixels = len(images.fields.offset_yx) * h * w
        limits = contrast.intensity_limits(fields, n_pixels, options.clip_percentile)
    if height * width > contrast.WHOLE_PLANE_PX:
        yield from contrast.preprocess_bands(read, images.shape_yx, options, limits)
        return
    yield (
        0,
        contrast.preprocess_plane(
            read(0, height),
            clip_percentile=options.clip_percentile,
            clahe_kernel_px=options.clahe_kernel_px,
            clahe_clip_limit=options.clip_limit,
            limits=limits,
        ),
    )


class _Progress:
    """One log line for each tenth of the work."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0

    def add(self, amount: int) -> None:
        before = 10 * self.done // self.total
        self.done += amount
        if 10 * self.done // self.total > before:
            logger.info("preprocessed %d %%", 100 * self.done // self.total)
