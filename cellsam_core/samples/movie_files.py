"""Files of one movie, and the options by which they are read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from cellsam_core.files.image_stack import ZChoice
    from cellsam_core.files.names.named_images import NamedImage

FILE_FORMATS = ("image", "tiff_stack", "ome_tiff", "ome_zarr", "microscope")
FOLDER_FORMATS = ("tiff_series", "ctc", "channel_folders", "channel_files")
FORMATS = ("auto", *FOLDER_FORMATS, *FILE_FORMATS)


@dataclass(frozen=True)
class MovieOptions:
    """Options of reading the files of a movie, as the sample sheet gives them.

    Attributes
    ----------
    format
        One of `FORMATS`.
    pattern
        Says what image names mean, such as ``img_{time}_{channel}_{z}``.
    channels
        Names of the channels to use.
    position
        Name of the position to read, where there are several.
    z
        What to do with z planes; None refuses them.
    """

    format: str = "auto"
    pattern: str | None = None
    channels: tuple[str, ...] = ()
    position: str = ""
    z: ZChoice | None = None


@dataclass(frozen=True)
class MovieFiles:
    """Files of a movie: one file or OME-Zarr, or many images.

    Attributes
    ----------
    root
        As the user named it.
    container
        The one file, or OME-Zarr folder; None for many images.
    images
        The many images and what their names say.
    format
        Name of the reader for many images.
    """

    root: Path
    container: Path | None = None
    images: list[NamedImage] = field(default_factory=list)
    format: str = "auto"
    warnings: list[str] = field(default_factory=list)


def error(where: str | Path, found: str, expected: str, remedy: str) -> InputError:
    """Make an error; shorter to write."""
    return InputError(where, found=found, expected=expected, remedy=remedy)


def movie_root(path: str | Path) -> Path:
    """Absolute path of a movie; links keep their names, since files of a store have no suffix."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100
