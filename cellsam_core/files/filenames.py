"""Image files of a folder: natural order, label images, gaps in numbers."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.files.suffixes import ARRAY_FILES, RASTER_SUFFIXES, STORE_FILES, TIFF_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

IMAGE_SUFFIXES = TIFF_SUFFIXES + RASTER_SUFFIXES
LABEL_NAME = re.compile(
    r"(man_track|man_seg|masks?|labels?|seg)[ _\-]*(t|frame)?\d*"
    r"|.*[_\-](labels?|masks?|seg|cp_masks|cp_outlines|flows|gt)([_\-]?\d+)?"
    r"|.*[_\-](probabilities|(simple|object)[_ ](segmentation|predictions|identities))"
    r"|LblImg_.*",
    re.IGNORECASE,
)
LABEL_FOLDER = re.compile(
    r"(.*[_ \-])?(GT|ST|RES|SEG|TRA|ERR_SEG|SEG_pred|labels?|masks?|(ground[_ \-]?)?truth"
    r"|annotations?|annotated|segmentations?|predictions?|outlines|rois)",
    re.IGNORECASE,
)
"""Names of folders beside the images that hold label images, or outlines, of the same cells."""


THUMBNAIL = re.compile(
    r".*[_\- ]thumb(nail)?s?([_\- ].*|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12})?", re.IGNORECASE
)
"""Names of the small copies that acquisition programs write beside their images."""


DERIVED_FOLDER = re.compile(
    r"(max(imum)?[_ \-]?)?(intensity[_ \-]?)?proj(ections?)?|mips?|thumb(nail)?s?|previews?"
    r"|overviews?|overlays?|autofocus",
    re.IGNORECASE,
)
"""Names of folders beside the images that hold what was made of them: ``Projection``."""

OVERLAY = re.compile(r"(?P<of>.+?)[_\- ](?P<word>overlay|merged?|composite)", re.IGNORECASE)
"""Names of pictures of all channels that programs write beside those: ``Image_00001_Overlay``."""


COPY = re.compile(
    r"(?P<of>.+?)(?: - | |_|-)\(?(?:copy|kopie|copie|copia)\)?(?: ?\(?\d+\)?)?"
    r"|(?P<numbered>.+?) ?\(\d+\)",
    re.IGNORECASE,
)
"""Names that file managers give to copies of a file: ``a copy 2``, ``a - Copy``, ``a (1)``."""
MIN_SHARE_OF_COPIES = 4
"""Files such as ``a (1)`` are frames, not copies, if they are at least one in so many images."""


_DIGITS_AND_REST = re.compile(r"\d+|\D+")
_OME = re.compile(r"\.ome$", re.IGNORECASE)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key which puts ``t2`` before ``t10``."""
    parts = _DIGITS_AND_REST.findall(name)
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts]


def is_image(path: Path) -> bool:
    """Tell whether the suffix is that of a readable image, and the file not hidden."""
    return is_image_name(path.name) and path.is_file()


def is_image_name(name: str) -> bool:
    """Tell whether a name ends as that of a readable image, and is not hidden."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def is_label(path: Path) -> bool:
    """Tell whether the file's name is that of a label image (``man_track000``, ``a_mask``)."""
    return LABEL_NAME.fullmatch(image_stem(path)) is not None


def is_thumbnail(path: Path) -> bool:
    """Tell whether the file's name is that of a small copy of an image (``B02_s1_w1_thumb``)."""
    return THUMBNAIL.fullmatch(image_stem(path)) is not None


def image_stem(path: Path) -> str:
    """File name without suffix, ``.ome.tif`` included."""
    return _OME.sub("", path.stem)


def is_ome_zarr(path: Path) -> bool:
    """Tell whether a folder is an OME-Zarr, by its metadata, or a Zarr that lacks those of OME."""
    names = {*STORE_FILES, *ARRAY_FILES}
    return path.is_dir() and any((path / name).is_file() for name in names)


def list_stores(folder: Path) -> list[Path]:
    """OME-Zarr directly in a folder, but for those of labels, in natural order."""
    with os.scandir(folder) as entries:  # it knows which of thousands of entries are folders
        names = sorted((entry.name for entry in entries if _is_folder(entry)), key=natural_key)
    found = [folder / name for name in names]
    return [path for path in found if is_ome_zarr(path) and not is_label(path)]


def list_images(folder: Path) -> list[Path]:
    """Image files directly in a folder, label images among them, in natural order."""
    # The folder itself tells which entries are files: a sheet of samples lists thousands of them.
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_image_name(entry.name) and _is_file(entry)]
    return [folder / name for name in sorted(names, key=natural_key)]


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry of a folder is a file; a link that leads nowhere is none."""
    return Path(entry.path).is_file() if entry.is_symlink() else entry.is_file()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry of a folder is a folder; a link that leads nowhere is none."""
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def find_images(root: Path, depth: int = 3) -> list[Path]:
    """Find the images of a folder, or where it has none, of its sub-folders, in natural order.

    Label images, their folders and hidden ones are left out, and beside images so are thumbnails,
    copies and folders of what was made of the images, such as projections.

    Parameters
    ----------
    root
        Folder.
    depth
        Number of levels to look into below it, those with one folder alone not counted.
    """
    images = [f for f in list_images(root) if not is_label(f)]
    images = [f for f in images if not is_thumbnail(f)] or images
    images = split_copies(images)[0]
    if images or not depth:
        return images
    folders = [
        f
        for f in root.iterdir()
        if f.is_dir() and not f.name.startswith(".") and not is_label_folder(f)
    ]
    folders.sort(key=lambda folder: natural_key(folder.name))
    # A folder that is alone in its own is no level; links are, since they may lead round.
    depth -= len(folders) != 1 or folders[0].is_symlink()
    raw = [folder for folder in folders if not DERIVED_FOLDER.fullmatch(folder.name)]
    return _all_below(raw, depth) or _all_below(folders, depth)


def _all_below(folders: list[Path], depth: int) -> list[Path]:
    return [image for folder in folders for image in _below(folder, depth)]


def _below(folder: Path, depth: int) -> list[Path]:
    is_store = folder.suffix == ".zarr" or any(
        (folder / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs")
    )
    return [] if is_store else find_images(folder, depth)


def split_copies(images: list[Path]) -> tuple[list[Path], list[Path]]:
    """Tell images from copies that a file manager has made beside them.

    Parameters
    ----------
    images
        Files.

    Returns
    -------
    images, copies : list of Path
        A copy has the name of a file of its folder, and behind it ``copy`` or ``(1)``.

    Examples
    --------
    >>> from pathlib import Path
    >>> split_copies([Path("a.tif"), Path("a copy.tif"), Path("b copy.tif")])[1][0].name
    'a copy.tif'
    """
    there = set(images)
    found = {path: match for path in images if (match := COPY.fullmatch(path.stem))}
    copies = {
        path
        for path, match in found.items()
        if path.with_name(f"{match['of'] or match['numbered']}{path.suffix}") in there
    }
    numbered = {path for path in copies if found[path]["numbered"]}
    if len(numbered) * MIN_SHARE_OF_COPIES >= len(images):
        copies -= numbered  # a, a (1), a (2) may be the frames of a movie
    return [f for f in images if f not in copies], [f for f in images if f in copies]


def split_overlays(
    images: list[Path], channels: Collection[str] = ()
) -> tuple[list[Path], list[Path]]:
    """Tell images of one channel from pictures of all channels, which are named like them.

    Parameters
    ----------
    images
        Files.
    channels
        Names of channels, which are no overlays.

    Returns
    -------
    channels, overlays : list of Path
        An overlay is a file whose name begins like that of another image of its folder.
    """
    found = {path: OVERLAY.fullmatch(image_stem(path)) for path in images}
    found = {p: None if m and m["word"] in channels else m for p, m in found.items()}
    wanted = {(path.parent, match["of"]) for path, match in found.items() if match}
    if not wanted:
        return images, []
    lengths = {len(of) for _, of in wanted}
    begun = {
        (path.parent, path.name[:n])
        for path, match in found.items()
        if not match
        for n in lengths
        if not path.name[n - 1 : n + 1].isdecimal()  # Image_1 is no beginning of Image_10
    }
    overlays = {p: m for p, m in found.items() if m and (p.parent, m["of"]) in begun}
    return [path for path in images if path not in overlays], list(overlays)


def is_label_folder(folder: Path) -> bool:
    """Tell whether a folder's name is that of label images (``masks``, ``01_GT``, ``truth``)."""
    return LABEL_FOLDER.fullmatch(folder.name) is not None


def list_folders(folder: Path) -> list[Path]:
    """Sub-folders that directly hold images, in natural order."""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and _is_folder(e)]
    folders = [folder / name for name in sorted(names, key=natural_key)]
    return [path for path in folders if list_images(path)]


def same_stem(paths: Iterable[Path]) -> tuple[Path, Path] | None:
    """Find two files whose names differ in their suffix, or their folder, alone."""
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            return seen[path.stem], path
        seen[path.stem] = path
    return None


def missing_frame(numbers: Iterable[int]) -> tuple[int, int] | None:
    """Find the first gap in frame numbers.

    The step is the smallest difference, so 0, 30, 60 has no gap.

    Returns
    -------
    tuple of int or None
        First missing number and the number before it.
    """
    ordered = sorted(set(numbers))
    differences = [b - a for a, b in itertools.pairwise(ordered)]
    step = min(differences, default=1)
    for number, difference in zip(ordered, differences, strict=False):
        if difference != step:
            return number + step, number
    return None
