"""Frames by the names of a movie's files, and label images beside them, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError, shortened
from cellsam_core.files.filenames import is_label, list_images
from cellsam_core.files.names.parts import guess_pattern, parse_names
from cellsam_core.files.names.roles import KEYS
from cellsam_core.labels.source import open_labels
from cellsam_core.samples.movie_files import MovieOptions, movie_root
from cellsam_core.samples.movie_search import find_movie

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.files.names.named_images import NamedImage
    from cellsam_core.samples.manifest import Manifest

TIME_KEY = re.compile(rf"(^|[\W\d_])({KEYS['time'].replace(' ', '|')})[_\-= ]?$", re.IGNORECASE)
"""End of a name before a number that is surely that of a frame."""


def told_by_names(path: Path, manifest: Manifest) -> list[str]:
    """Say which names were taken as frames, and which label images are not read.

    Parameters
    ----------
    path
        Folder or file of a movie.
    manifest
        The movie, or its first position.

    Returns
    -------
    list of str
        Sentences; none for a file, which tells itself what its frames are.
    """
    if not path.is_dir():
        return []
    root = movie_root(path)
    files = find_movie(root, MovieOptions())
    is_alone = len({image.position for image in files.images}) < 2
    told = []
    if files.container is None and manifest.n_frames > 1:
        told.append(_frames(root, files.images, manifest, is_alone=is_alone))
    return told + _labels(root, files.images, manifest, is_alone=is_alone)


def _frames(root: Path, images: list[NamedImage], manifest: Manifest, *, is_alone: bool) -> str:
    """Name the first and the last frame; fields that were taken for frames are then noticed."""
    own = sorted(
        (i for i in images if i.position == images[0].position), key=lambda i: i.frame or 0
    )
    of_one = [image.path for image in own if image.channel == own[0].channel]
    first, last = (str(path.relative_to(root)) for path in (of_one[0], of_one[-1]))
    sentence = f"frames: told by the names, from {first} to {last} ({manifest.n_frames} frames)"
    has_times = manifest.frame_interval_s is not None or manifest.frame_times_s is not None
    pattern = "" if has_times or not is_alone else _pattern_of_fields(root, own)
    instead = f"; if they are fields of view, write {pattern} into the column `pattern`"
    return sentence + (instead if pattern else "")


def _pattern_of_fields(root: Path, images: list[NamedImage]) -> str:
    """Make a pattern by which frames are positions; empty if names or tests speak against it."""
    paths = [image.path for image in images]
    before, time, behind = guess_pattern(paths, root).partition("{time}")
    if not time or TIME_KEY.search(before):
        return ""
    pattern = f"{before}{{position}}{behind}"
    try:
        positions = parse_names(paths, root, pattern=pattern).positions
    except InputError:
        return ""
    return pattern if len(positions) == len({image.frame for image in images}) else ""


def _labels(
    root: Path, images: list[NamedImage], manifest: Manifest, *, is_alone: bool
) -> list[str]:
    """Say that label images beside the images are left out, and how they are used."""
    folders = sorted({image.path.parent for image in images}) or [root]
    labels = [file for folder in folders for file in list_images(folder) if is_label(file)]
    if not labels:
        return []
    names = shortened([file.name for file in labels])
    sentence = f"masks: {len(labels)} label image(s) beside the images are not read: {names}"
    if len(folders) > 1 or not is_alone or not _are_masks(folders[0], manifest):
        return [sentence]
    where = "the same folder as in `path`" if folders[0] == root else f"the folder {folders[0]}"
    return [f"{sentence}; to use them, write {where} into the column `masks`"]


def _are_masks(folder: Path, manifest: Manifest) -> bool:
    """Tell whether the label images of a folder are one for each frame, of its size."""
    try:
        source = open_labels(folder)
    except InputError:
        return False
    return source.n_frames == manifest.n_frames and source.shape_yx == manifest.shape_yx
