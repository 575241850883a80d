"""Raw images of a sample, read alike from disk and from memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.facts import NO_FACTS, Facts
from cellsam_core.samples.frames import is_whole, read_frame
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.stage import split_channels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cellsam_core.files.plane import Window
    from cellsam_core.samples.manifest import Fields

    Reader = Callable[[int, Sequence[str], Window], NDArray[Any]]


@dataclass(frozen=True)
class RawImages:
    """Raw images of one sample.

    Attributes
    ----------
    name
        Words that name the sample in an error message.
    channels
        Names of the channels.
    n_frames, shape_yx
        Number of frames; height and width in pixels.
    is_movie
        True for frames in time, also if there is only one.
    read
        Function of a frame's index, names of channels and a window ``(y0, y1, x0, x1)`` in
        pixels; it returns pixels ``(c, y, x)``.
    pixel_size_um, frame_interval_s
        Side of a pixel in micrometres and seconds between frames; None where they are not known.
    fields
        Fields of view that make up the image; None for an image that is whole.
    partial
        Names of the channels that some frames lack.
    facts
        Name of the sample, and its place on the slide.
    kit
        Nuclear and cell channels of a vendor's kit of several stains; empty for other images.
    """

    name: str
    channels: list[str]
    n_frames: int
    shape_yx: tuple[int, int]
    is_movie: bool
    read: Reader
    pixel_size_um: float | None = None
    frame_interval_s: float | None = None
    fields: Fields | None = None
    partial: frozenset[str] = frozenset()
    facts: Facts = NO_FACTS
    kit: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ArrayFacts:
    """Facts about an image in memory that its pixels do not tell.

    Attributes
    ----------
    channels
        Names of the channels; None where they have none.
    pixel_size_um, frame_interval_s
        Side of a pixel in micrometres and seconds between frames; None where they are not known.
    """

    channels: str | Sequence[str] | None = None
    pixel_size_um: float | None = None
    frame_interval_s: float | None = None

    def given(self) -> list[str]:
        """Return the names of the facts that are given."""
        return [name for name, value in vars(self).items() if value is not None]


def open_images(sample: Manifest | str | Path | NDArray[Any], facts: ArrayFacts) -> RawImages:
    """Open the raw images of a manifest, or of an array.

    Raises
    ------
    InputError
        The path holds no manifest, the array has no shape of images, or facts are given that
        the manifest states.
    """
    if not isinstance(sample, Manifest | str | Path):
        return images_of_array(sample, facts)
    if given := facts.given():
        raise InputError(
            f"argument `{given[0]}`",
            found="it beside a manifest",
            expected="it for an array only, because a manifest states it",
            remedy=f"leave it out, or give `{given[0]}` to `inspect`",
        )
    return images_of_manifest(sample if isinstance(sample, Manifest) else Manifest.load(sample))


def images_of_manifest(manifest: Manifest) -> RawImages:
    """Describe the raw images of a manifest; pixels are read when they are needed."""
    is_movie = manifest.assay == "movie"
    source = manifest.transcripts
    return RawImages(
        name=f"sample {manifest.sample}",
        channels=manifest.channels,
        n_frames=manifest.n_frames,
        shape_yx=manifest.shape_yx,
        is_movie=is_movie,
        read=partial(read_frame, manifest),
        pixel_size_um=manifest.pixel_size_um,
        frame_interval_s=manifest.frame_interval_s if is_movie else None,
        fields=manifest.fields,
        partial=frozenset(name for name in manifest.channels if not is_whole(manifest, name)),
        facts=Facts(manifest.sample, None if source is None else source.um_to_px),
        kit=manifest.kit,
    )


def images_of_array(array: NDArray[Any], facts: ArrayFacts) -> RawImages:
    """Describe raw images in memory.

    Parameters
    ----------
    array
        Image ``(y, x)`` or ``(c, y, x)``, or movie ``(t, c, y, x)``; any real type. With the
        name of one channel, ``(t, y, x)`` is a movie of it.
    facts
        Names of the channels, pixel size and frame interval.

    Raises
    ------
    InputError
        The array is no image, the number of names is not that of the channels, or the pixel
        size or frame interval is not positive.
    """
    InspectOptions(pixel_size_um=facts.pixel_size_um, frame_interval_s=facts.frame_interval_s)
    array = np.asarray(array)
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3, 4) or array.size == 0:
        raise InputError(
            "images",
            found=f"an array of shape {array.shape} and type {array.dtype}",
            expected="real numbers (y, x), (c, y, x) or (t, c, y, x)",
            remedy="give such an array",
        )
    if array.dtype.kind == "b":  # percentiles are of numbers
        array = array.astype(np.uint8)
    names = split_channels(facts.channels)
    is_movie = array.ndim == 4
    if array.ndim == 3 and names is not None and len(names) == 1 and len(array) > 1:
        array, is_movie = array[:, None], True
    array = array.reshape((1,) * (4 - array.ndim) + array.shape)
    names = names or [f"channel_{c}" for c in range(array.shape[1])]
    if len(names) != array.shape[1]:
        raise InputError(
            "channels",
            found=f"{len(names)} names ({', '.join(names)})",
            expected=f"{array.shape[1]}, one for each channel of an array of {array.shape}",
            remedy="correct the names, or the order of the axes (t, c, y, x)",
        )

    def read(frame: int, channels: Sequence[str], window: Window) -> NDArray[Any]:
        y0, y1, x0, x1 = window
        picked = [names.index(name) for name in channels]
        return np.asarray(array[frame, picked, y0:y1, x0:x1])

    return RawImages(
        name="images",
        channels=names,
        n_frames=array.shape[0],
        shape_yx=(array.shape[2], array.shape[3]),
        is_movie=is_movie,
        read=read,
        pixel_size_um=facts.pixel_size_um,
        frame_interval_s=facts.frame_interval_s if is_movie else None,
    )
