"""Search for the files of one movie in a folder, by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError, shortened
from cellsam_core.files.filenames import (
    find_images,
    is_image,
    is_label,
    is_label_folder,
    is_ome_zarr,
    list_folders,
    list_images,
    list_stores,
    natural_key,
    split_copies,
    split_overlays,
)
from cellsam_core.files.foreign import is_microscope_file, maker_of, refuse_foreign
from cellsam_core.files.image_stack import ZChoice
from cellsam_core.files.names.named_images import NamedImage, NamedImages
from cellsam_core.files.names.parts import parse_names, split_parts
from cellsam_core.files.ome_xml import parse_ome
from cellsam_core.files.stack import list_series, read_stack
from cellsam_core.files.tiff.companion import COMPANION
from cellsam_core.files.tiff.ndtiff import INDEX
from cellsam_core.samples.movie_files import (
    FILE_FORMATS,
    FOLDER_FORMATS,
    FORMATS,
    MovieFiles,
    MovieOptions,
    error,
)
from cellsam_core.samples.movie_memory import remember
from cellsam_core.samples.other_methods import refuse_other_method

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.files.image_stack import Stack

CTC_IMAGE = re.compile(r"t\d+", re.IGNORECASE)
CTC_FOLDER = re.compile(r"\d\d")
N_SHOWN = 6
TABLES_BESIDE_IMAGES = (".nd", ".h5", ".hdf5")
"""Files of microscopes that may hold no images: those are beside them, or in sub-folders."""


def find_movie(root: Path, options: MovieOptions) -> MovieFiles:
    """Look what is there; nothing but names is read, and headers of sets of OME-TIFF."""
    if not root.exists():
        raise error(root, "nothing", "a folder or an image file", "correct the path")
    if options.format not in FORMATS:
        choices = ", ".join(FORMATS)
        found = f"format {options.format!r}"
        raise error(root, found, f"one of {choices}", "correct the column `format`")
    if root.is_file() or is_ome_zarr(root):
        if options.format in FOLDER_FORMATS:
            expected = f"a folder for format {options.format}"
            what = "a file" if root.is_file() else "an OME-Zarr"
            raise error(root, what, expected, "name the folder as `path`, or set `format` to auto")
        return MovieFiles(root, container=root)
    return remember(root, replace(options, position=""), _find_in_folder)


def _find_in_folder(root: Path, options: MovieOptions) -> MovieFiles:
    """Look for the files of a movie in a folder."""
    direct = find_images(root, 0)
    if direct:
        refuse_other_method(root, [root])
    container, warnings = _only_container(root, direct, options)
    if container is not None:
        warnings += _copies([root])
        return MovieFiles(root, container=container, warnings=warnings)
    named = _named_images(root, direct, options)
    kind = _kind_of(root, named.images) if options.format == "auto" else options.format
    warnings += named.warnings + _unread(root, named.images)
    warnings += _copies(sorted({image.path.parent for image in named.images}))
    return MovieFiles(root, None, named.images, kind, warnings)


def _only_container(
    root: Path, images: list[Path], options: MovieOptions
) -> tuple[Path | None, list[str]]:
    """Find the one file or OME-Zarr in a folder that holds the whole movie.

    That is the only image, the first of an OME-TIFF set, or a microscope's own file.
    """
    if options.format in FOLDER_FORMATS or options.pattern is not None:
        return None, []
    own = sorted(f for f in root.iterdir() if is_microscope_file(f) and f.is_file())
    stores = list_stores(root)
    is_table = all(f.suffix.lower() in TABLES_BESIDE_IMAGES for f in own)
    is_beside = is_table and bool(images or stores or find_images(root))
    whole_movies = [*([] if is_beside else own), *stores]
    if whole_movies and len(images) <= 1:
        if len(whole_movies) == 1 and not images:
            return whole_movies[0], _not_read(own if is_beside else [])
        raise _refuse_several(root, [*whole_movies, *images])
    told = _not_read([*own, *stores])
    if not images:
        return None, told
    whole = images[0] if len(images) == 1 else _file_of_set(root, images)
    if whole is not None:
        return whole, told
    if options.format in FILE_FORMATS:
        found = f"{len(images)} images"
        raise error(root, found, f"one file for format {options.format}", "name the file as `path`")
    return None, told


def _refuse_several(root: Path, files: list[Path]) -> InputError:
    """Make the error for files of which each holds a whole movie."""
    kinds = {f.suffix.lower() for f in files}
    if len(kinds) == 1:
        found = f"{len(files)} files, {files[0].name} and {files[1].name} among them"
        return error(root, found, "one file", "give each file a row of the sample sheet")
    one = files[0]
    other = next(f for f in files if f.suffix.lower() != one.suffix.lower())
    found = " and ".join(f"{f.name}{_of_maker(f)}" for f in (one, other))
    return error(root, found, "one movie", "name one of the two as `path`")


def _not_read(files: list[Path]) -> list[str]:
    return [f"{f.name}{_of_maker(f)} is not read." for f in files]


def _of_maker(path: Path) -> str:
    if path.is_dir():
        return " (OME-Zarr)"
    maker = maker_of(path)
    return f" ({maker.name})" if maker else ""


def _file_of_set(root: Path, images: list[Path]) -> Path | None:
    """Find the file that tells of all images of a folder, which are one OME-TIFF or NDTiff.

    It is their companion, or the first of the images; None if they are not one set.
    """
    first = images[0]
    if (root / INDEX).is_file() and all("NDTiffStack" in f.name for f in images):
        return first
    companion = next((f for f in root.iterdir() if f.name.lower().endswith(COMPANION)), None)
    if companion is not None:
        try:
            parts = parse_ome(companion.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        names = {name for i in parts for name, _, _ in i.planes}
        return companion if names >= {f.name for f in images} else None
    if not first.name.lower().endswith((".ome.tif", ".ome.tiff")):
        return None
    if list_series(first) != [""]:
        return None
    stack = read_stack(first, z=ZChoice("max"), may_lack=True)
    planes = [p for row in stack.planes for p in row if p is not None]
    used = {p.path for p in planes} | {q for p in planes for q, _ in p.stack if q}
    return first if used == {str(f) for f in images} else None


def _named_images(root: Path, direct: list[Path], options: MovieOptions) -> NamedImages:
    """Find the images of a folder, or where it has none, of its sub-folders; read their names."""
    found = direct or find_images(root)
    if options.format in ("tiff_series", "channel_files", "ctc") and direct:
        found = direct
    elif options.format == "channel_folders":
        found = [f for folder in _channel_dirs(root) for f in find_images(folder, 0)]
    if not found:
        raise _no_images(root)
    if not direct:
        refuse_other_method(root, {file.parent for file in found})
    if options.pattern is not None:
        if "/" in options.pattern and direct:
            found = direct + [f for d in list_folders(root) for f in find_images(d, 0)]
        return parse_names(found, root, pattern=options.pattern)
    if options.format in FOLDER_FORMATS:
        return _read_names(root, found, direct, options)
    single, overlays = split_overlays(found, options.channels)
    named = _read_names(root, single, direct, options)
    if not overlays:
        return named
    told = (
        f"Pictures of all channels are not read: {shortened([f.name for f in overlays])}. If they "
        "are one channel, name it and the others in the column `channels`."
    )
    return replace(named, warnings=[*named.warnings, told])


def _read_names(
    root: Path, found: list[Path], direct: list[Path], options: MovieOptions
) -> NamedImages:
    """Read the names of images by the layout of their folders."""
    parents = {f.parent for f in found}
    challenge = [f for f in found if CTC_IMAGE.fullmatch(f.stem)]
    are_sequences = len(challenge) == len(found) and all(
        f.parent != root and CTC_FOLDER.fullmatch(f.parent.name) for f in found
    )
    if options.format == "ctc" or are_sequences or any(map(_is_challenge, sorted(parents))):
        if not challenge:
            expected = "images named t000.tif, t001.tif, ... for format ctc"
            raise error(root, "no such image", expected, "set the column `format` to auto")
        return _challenge_images(root, challenge)
    if options.format == "channel_folders":
        return _channel_folders(root, found, options)
    try:
        return parse_names(found, root, channels=options.channels)
    except InputError:
        parts = split_parts(found) if len(parents) == 1 else []
        stack = _first_stack(parts, options)
        if stack is None or len(stack.planes) == len(stack.planes[0]) == 1:
            raise
        if len(stack.planes) == 1:
            raise error(
                root,
                f"parts of one movie, {parts[0].path.name}, {parts[1].path.name}, with "
                f"{len(stack.planes[0])} planes of which nothing tells the time",
                "parts that tell their frames",
                "join the parts, in Fiji with Image > Stacks > Tools > Concatenate, name the new "
                "file as `path`, and set the column `format` to tiff_stack",
            ) from None
        return NamedImages(parts)


def _first_stack(parts: list[NamedImage], options: MovieOptions) -> Stack | None:
    """Read the header of the first part of a split movie; None if there are no parts."""
    count = len(options.channels) or None
    z = options.z or ZChoice("max")
    return read_stack(parts[0].path, n_channels=count, z=z) if parts else None


def _channel_folders(root: Path, found: list[Path], options: MovieOptions) -> NamedImages:
    """Take the names of folders as channels where the user says so, whatever they are."""
    folders = _channel_dirs(root)
    known = (*options.channels, *(folder.name for folder in folders))
    try:
        return parse_names(found, root, channels=known)
    except InputError:
        own = {f.name: parse_names(find_images(f, 0), f).images for f in folders}
        if any(image.channel for images in own.values() for image in images):
            raise
    return NamedImages([replace(i, channel=name) for name, images in own.items() for i in images])


def _channel_dirs(root: Path) -> list[Path]:
    """List sub-folders with images, but for those of label images."""
    return [folder for folder in list_folders(root) if not is_label_folder(folder)]


def _is_challenge(folder: Path) -> bool:
    """Tell whether a folder has the layout of the Cell Tracking Challenge."""
    has_labels = any(f.name.startswith("man_track") and is_image(f) for f in folder.iterdir())
    has_truth = folder.with_name(f"{folder.name}_GT").is_dir()
    if not (has_labels or has_truth):
        return False
    return any(CTC_IMAGE.fullmatch(f.stem) for f in find_images(folder, 0))


def _challenge_images(root: Path, files: list[Path]) -> NamedImages:
    """Name the images of sequences 01, 02: each is a position."""
    folders = sorted({f.parent for f in files})
    for folder in folders:
        _refuse_labels_without_image(folder, [f for f in files if f.parent == folder])
    return NamedImages(
        [
            NamedImage(f, int(f.stem[1:]), position=f.parent.name if len(folders) > 1 else "")
            for f in files
        ]
    )


def _refuse_labels_without_image(sequence: Path, files: list[Path]) -> None:
    numbers = {int(f.stem[1:]) for f in files}
    for label in list_images(sequence):
        number = re.fullmatch(r"man_track(\d+)", label.stem)
        if number and int(number[1]) not in numbers:
            raise error(
                sequence,
                f"no image t{number[1]}.tif for {label.name}",
                "an image for each label image",
                "add the missing image",
            )


def _no_images(root: Path) -> InputError:
    """Make the error for a folder without a readable image; say what is there instead."""
    files = sorted(f for f in root.rglob("*") if f.is_file() and not f.name.startswith("."))
    foreign = next((f for f in files if maker_of(f) is not None), None)
    if foreign is not None:
        try:
            refuse_foreign(foreign)
        except InputError as told:
            return told
    folders = sorted((p.name for p in root.iterdir() if p.is_dir()), key=natural_key)
    found = "no images"
    if list_images(root):
        found = "only label images"
    elif folders:
        found = f"no images but sub-folders {', '.join(folders[:5])}"
    expected = "images, TIFF or PNG, or sub-folders of them named by channel"
    return error(root, found, expected, "correct the columns `path` and `format`")


def _copies(folders: list[Path]) -> list[str]:
    """Name copies of images, which are not read."""
    images = [[f for f in list_images(folder) if not is_label(f)] for folder in folders]
    copies = [f.name for own in images for f in split_copies(own)[1]]
    if not copies:
        return []
    return [
        f"Copies of images that are there, too, are not read: {shortened(copies, N_SHOWN)}. If one "
        "is an image of its own, rename it."
    ]


def _unread(root: Path, images: list[NamedImage]) -> list[str]:
    """Name folders with images, beside those of the movie or in them, that are no part of it."""
    read = {image.path.parent for image in images}
    is_flat = any(parent == root or root.name == parent.name for parent in read)
    if not is_flat and any(map(_is_challenge, read)):
        return []
    above = read | {f for own in read for f in (own, *own.parents) if f.is_relative_to(root)}
    others = [f for base in sorted(above) for f in list_folders(base) if f not in above]
    labels = [] if is_flat else [f.name for f in others if is_label_folder(f)]
    rest = list(dict.fromkeys(f.name for f in others if f.name not in labels))
    told = []
    if labels:
        shown = ", ".join(dict.fromkeys(labels))
        told.append(f"Folders of label images are not read as channels: {shown}.")
    if rest:
        told.append(f"Images in sub-folders are not read: {shortened(rest, N_SHOWN)}.")
    return told


def _kind_of(root: Path, images: list[NamedImage]) -> str:
    """Name the format of many images."""
    if _is_challenge(images[0].path.parent):
        return "ctc"
    by_channel = defaultdict(set)
    for image in images:
        by_channel[image.channel].add(image.path.parent)
    if len(by_channel) == 1:
        return "tiff_series"
    folders = list(by_channel.values())
    is_apart = not any(a & b for i, a in enumerate(folders) for b in folders[:i])
    return "channel_folders" if is_apart else "channel_files"
