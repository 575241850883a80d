"""Movie readers: a folder or a file of images -> `Manifest`.

Nothing but headers is read, but every header is: what can't be used is refused here, not
after an hour of segmentation.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import (
    LABEL_FOLDER,
    NamedImage,
    is_label,
    list_folders,
    list_images,
    missing_frame,
    natural_key,
    parse_names,
)
from cellsam_core.files.stack import Stack, read_stack
from cellsam_core.samples.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE_FORMATS = ("image", "tiff_stack", "ome_tiff")
FOLDER_FORMATS = ("tiff_series", "ctc", "channel_folders", "channel_files")
FORMATS = ("auto", *FOLDER_FORMATS, *FILE_FORMATS)
CTC_FOLDER = re.compile(r"\d\d")
CTC_IMAGE = re.compile(r"t\d+", re.IGNORECASE)
POSITION_FOLDER = re.compile(r"(pos|position|xy|s|p|fov|field|site|well|series)?[ _\-]*\d+", re.I)


def inspect_movie(
    path: str | Path,
    *,
    sample: str,
    assay: str,
    format: str = "auto",
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    channels: Sequence[str] | None = None,
) -> Manifest:
    """Find the planes of a movie and what its files say of themselves.

    Parameters
    ----------
    path
        Folder or file.
    sample, assay
        Copied into the manifest.
    format
        One of `FORMATS`.
    pixel_size_um, frame_interval_s
        Win over what the files say.
    channels
        Names of channels in the files: these are used, in this order. If the files hold as
        many channels, none of which has one of these names, the channels are called so, in
        file order.

    Raises
    ------
    InputError
        Anything is missing, mixed, truncated or can't be understood.
    """
    root = Path(path).expanduser().resolve()
    if not root.exists():
        raise _error(root, "nothing", "a folder or an image file", "correct the path")
    if format not in FORMATS:
        choices = ", ".join(FORMATS)
        raise _error(root, f"format {format!r}", f"one of {choices}", "correct the column `format`")
    n_channels = len(channels) if channels else None
    warnings: list[str] = []
    file = root if root.is_file() else _only_file(root, format)
    if file is not None:
        stack = _read_file(file, format, n_channels)
        name = stack.kind if format == "auto" else format
    else:
        name = _detect(root) if format == "auto" else format
        stack = _read_folder(root, name, n_channels)
        warnings = _unread_folders(root, stack)
    stack, renamed = _choose_channels(root, stack, list(channels or []))
    return Manifest(
        sample=sample,
        assay=assay,
        format=name,
        channels=list(stack.channels),
        n_frames=len(stack.planes),
        shape_yx=stack.shape_yx,
        dtype=stack.dtype,
        pixel_size_um=stack.pixel_size_um if pixel_size_um is None else pixel_size_um,
        frame_interval_s=stack.frame_interval_s if frame_interval_s is None else frame_interval_s,
        planes=stack.planes,
        warnings=warnings + renamed,
    )


def _error(where: str | Path, found: str, expected: str, remedy: str) -> InputError:
    return InputError(where, found=found, expected=expected, remedy=remedy)


def _images(folder: Path) -> list[Path]:
    return [f for f in list_images(folder) if not is_label(f)]


def _image_folders(folder: Path) -> list[Path]:
    folders = [f for f in list_folders(folder) if not LABEL_FOLDER.fullmatch(f.name)]
    return [f for f in folders if _images(f)]


def _only_file(folder: Path, format: str) -> Path | None:
    """Return the file that holds the whole movie, if there is one.

    That is the only image of a folder, or the first one of a multi-file OME-TIFF.
    """
    files = _images(folder)
    if format in FOLDER_FORMATS or not files:
        return None
    if len(files) == 1:
        return files[0]
    if files[0].name.lower().endswith((".ome.tif", ".ome.tiff")):
        planes = itertools.chain.from_iterable(read_stack(files[0]).planes)
        if {p.path for p in planes} == {str(f) for f in files}:
            return files[0]
    if format in FILE_FORMATS:
        found = f"{len(files)} images"
        raise _error(folder, found, f"one file for format {format}", "name the file as `path`")
    return None


def _read_file(path: Path, format: str, n_channels: int | None) -> Stack:
    if format in FOLDER_FORMATS:
        raise _error(path, "a file", f"a folder for format {format}", "give the folder as `path`")
    stack = read_stack(path, n_channels=n_channels, pages_are_frames=format == "tiff_stack")
    if format == "ome_tiff" and stack.kind != format:
        raise _error(path, "no OME metadata", "an OME-TIFF", "set the column `format` to auto")
    return stack


def _detect(root: Path) -> str:
    """Find the format of a folder of several images."""
    files = _images(root)
    if not files:
        folders = _image_folders(root)
        if not folders:
            raise _no_images(root, "images, TIFF or PNG, or sub-folders of them named by channel")
        return "ctc" if any(CTC_FOLDER.fullmatch(f.name) for f in folders) else "channel_folders"
    has_ctc_labels = any(f.stem.startswith("man_track") for f in list_images(root))
    has_ctc_truth = root.with_name(f"{root.name}_GT").is_dir()
    if any(CTC_IMAGE.fullmatch(f.stem) for f in files) and (has_ctc_labels or has_ctc_truth):
        return "ctc"
    has_channels = any(image.channel for image in parse_names(files))
    return "channel_files" if has_channels else "tiff_series"


def _read_folder(root: Path, format: str, n_channels: int | None) -> Stack:
    if format == "channel_folders":
        folders = _image_folders(root)
        if not folders:
            raise _no_images(root, "a sub-folder of images for each channel")
        _refuse_positions(root, folders)
        return _merge_channels(root, {f.name: _only_channel(f) for f in folders})
    if format == "ctc":
        sequence = _ctc_sequence(root)
        files = [f for f in _images(sequence) if CTC_IMAGE.fullmatch(f.stem)]
        if not files:
            raise _no_images(root, "images tNNN.tif")
        _refuse_labels_without_image(sequence, files)
        return _read_series(parse_names(files), n_channels)
    files = _images(root)
    if not files:
        raise _no_images(root, "images, TIFF or PNG")
    images = parse_names(files)
    if format == "channel_files":
        groups: dict[str, list[NamedImage]] = {}
        for image in sorted(images, key=lambda i: natural_key(i.channel or "")):
            groups.setdefault(image.channel or "channel_1", []).append(image)
        return _merge_channels(root, groups)
    if any(image.channel for image in images):
        found = f"image names that differ in words ({files[0].name}, {files[-1].name})"
        expected = "names that differ in the frame number only"
        raise _error(root, found, expected, "set the column `format` to channel_files")
    return _read_series(images, n_channels)


def _only_channel(folder: Path) -> list[NamedImage]:
    """Read the names in the folder of a channel; others in them would be taken for frames."""
    images = parse_names(_images(folder))
    if len({image.channel for image in images}) > 1:
        names = f"{images[0].path.name}, {images[-1].path.name}"
        found = f"channels in the names of its sub-folder {folder.name} ({names})"
        expected = "a sub-folder for each channel, or one folder of all images"
        raise _error(folder.parent, found, expected, f"name {folder} as `path`")
    return images


def _no_images(root: Path, expected: str) -> InputError:
    folders = sorted((p.name for p in root.iterdir() if p.is_dir()), key=natural_key)
    if list_images(root):
        found = "only label images"
    elif folders:
        found = f"no images but sub-folders {', '.join(folders[:5])}"
    else:
        found = "no images"
    return _error(root, found, expected, "correct the columns `path` and `format`")


def _refuse_positions(root: Path, folders: list[Path]) -> None:
    if all(POSITION_FOLDER.fullmatch(f.name) for f in folders):
        names = ", ".join(f.name for f in folders[:5])
        expected = "one position, or sub-folders named by channel"
        raise _error(root, f"positions {names}", expected, "give each a row of the sample sheet")


def _ctc_sequence(root: Path) -> Path:
    """Find the sequence folder of a Cell Tracking Challenge data set."""
    if any(CTC_IMAGE.fullmatch(f.stem) for f in _images(root)):
        return root
    sequences = [f for f in _image_folders(root) if CTC_FOLDER.fullmatch(f.name)]
    if len(sequences) > 1:
        found = f"sequences {', '.join(f.name for f in sequences)}"
        raise _error(root, found, "one sequence", "name one of these folders as `path`")
    return sequences[0] if sequences else root


def _refuse_labels_without_image(sequence: Path, files: list[Path]) -> None:
    numbers = {int(f.stem[1:]) for f in files}
    for label in list_images(sequence):
        number = re.fullmatch(r"man_track(\d+)", label.stem)
        if number and int(number[1]) not in numbers:
            raise _error(
                sequence,
                f"no image t{number[1]}.tif for {label.name}",
                "an image for each label image",
                "add the missing image",
            )


def _read_series(images: list[NamedImage], n_channels: int | None = None) -> Stack:
    """Join the files of a time series, or take the one file that holds all of it."""
    images = sorted(images, key=lambda i: i.frame or 0)
    _refuse_missing_frame(images)
    stacks = [read_stack(i.path, n_channels=n_channels) for i in images]
    first = stacks[0]
    if len(stacks) == 1:
        return first
    for stack in stacks:
        if len(stack.planes) > 1:
            raise _error(
                stack.path,
                f"{len(stack.planes)} frames in one of {len(stacks)} files",
                "one frame a file",
                "name one of the stacks as `path`",
            )
        _refuse_different(first, stack)
    kind = "tiff_series"
    return replace(first, kind=kind, planes=[p for s in stacks for p in s.planes])


def _refuse_missing_frame(images: list[NamedImage]) -> None:
    gap = missing_frame(i.frame for i in images if i.frame is not None)
    if gap:
        missing, before = gap
        neighbour = next(i.path for i in images if i.frame == before)
        raise _error(
            neighbour.parent,
            f"no frame {missing} after {neighbour.name}",
            "frame numbers without a gap",
            "add the missing image or renumber the images",
        )


def _refuse_different(first: Stack, other: Stack) -> None:
    for what, one, two in (
        ("px", first.shape_yx, other.shape_yx),
        ("pixels", first.dtype, other.dtype),
        ("channel(s)", len(first.planes[0]), len(other.planes[0])),
    ):
        if one != two:
            found, expected = (
                f"{' x '.join(map(str, v)) if isinstance(v, tuple) else v} {what}"
                for v in (two, one)
            )
            remedy = "use images of one camera setting"
            raise _error(other.path, found, f"{expected} as in {first.path.name}", remedy)


def _merge_channels(root: Path, groups: dict[str, list[NamedImage]]) -> Stack:
    """Join one series a channel."""
    stacks = {name: _read_series(images) for name, images in groups.items()}
    reference = next(iter(groups))
    first = stacks[reference]
    for name, stack in stacks.items():
        if len(stack.planes[0]) > 1:
            found = f"{len(stack.planes[0])} channels in the images of {name}"
            raise _error(stack.path, found, "one channel", "split the channels into files")
        _refuse_different(first, stack)
        _refuse_other_frames(root, (reference, name), (groups[reference], groups[name]))
        if len(stack.planes) != len(first.planes):
            found = f"{len(stack.planes)} frames"
            expected = f"{len(first.planes)} as in {first.path.name}"
            raise _error(stack.path, found, expected, "export all channels of all frames")
    frames = zip(*(s.planes for s in stacks.values()), strict=True)
    planes = [[plane for (plane,) in frame] for frame in frames]
    return replace(first, planes=planes, channels=tuple(stacks))


def _refuse_other_frames(
    root: Path, names: tuple[str, str], groups: tuple[list[NamedImage], list[NamedImage]]
) -> None:
    """Two channels must have the same frame numbers."""
    numbers = [{i.frame: i.path.name for i in group} for group in groups]
    for (own, own_name), (other, other_name) in itertools.permutations(
        zip(numbers, names, strict=True)
    ):
        only = sorted(own.keys() - other.keys(), key=lambda n: n or 0)
        if only:
            raise _error(
                root,
                f"{own[only[0]]} of channel {own_name} without its like in channel {other_name}",
                "the same frames in every channel",
                "add the missing image or remove its fellows",
            )


def _choose_channels(root: Path, stack: Stack, requested: list[str]) -> tuple[Stack, list[str]]:
    """Select channels by name, or name them; returns the sentence for the report too."""
    count = len(stack.planes[0])
    found = stack.channels or tuple(f"channel_{i + 1}" for i in range(count))
    if len(set(found)) < count or len(found) != count:
        found_text = f"channel names {', '.join(found)} for {count} channels"
        remedy = "give the names in the column `channels`"
        if len(requested) != count:
            raise _error(root, found_text, "a name of its own for each channel", remedy)
        found = tuple(f"channel_{i + 1}" for i in range(count))
    if not requested:
        return replace(stack, channels=found), []
    if set(requested) <= set(found) and len(set(requested)) == len(requested):
        order = [found.index(name) for name in requested]
        planes = [[frame[i] for i in order] for frame in stack.planes]
        return replace(stack, channels=tuple(requested), planes=planes), []
    if set(requested) & set(found) or len(set(requested)) != count:
        raise _error(
            root,
            f"channels {', '.join(found)}",
            f"{', '.join(requested)} as in the column `channels`",
            "correct the column `channels`",
        )
    sentences = []
    if stack.channels:
        sentences = [f"Channels {', '.join(found)} are called {', '.join(requested)}."]
    return replace(stack, channels=tuple(requested)), sentences


def _unread_folders(root: Path, stack: Stack) -> list[str]:
    """Name sub-folders with images that are no part of the movie."""
    read = {Path(plane.path).parent for plane in stack.planes[0]}
    unread = [f.name for f in list_folders(root) if f not in read]
    return [f"Images in sub-folders are not read: {', '.join(unread)}."] if unread else []
