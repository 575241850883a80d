"""Sources of the pixel size and the frame interval of a sample, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellsam_core.files.image_stack import Stack
    from cellsam_core.samples.manifest import TranscriptSource
    from cellsam_core.samples.vendors.contract import Found

GIVEN = "sample sheet or option"
"""Value that the user gave."""
FILES = "files of the sample"
PIXEL_SIZES_UM = (0.005, 20.0)
"""Smallest and largest pixel of a microscope of cells: expanded cells, and scanners of plates."""
DIFFERENCE = 0.01
"""Share by which a given value may differ from that of the files without a warning."""


def sources_of_movie(
    stack: Stack,
    pixel_size_um: float | None,
    frame_interval_s: float | None,
    *,
    has_interval: bool,
) -> tuple[dict[str, str], list[str]]:
    """Tell where the scales of a movie come from, and if a given value contradicts the files.

    Parameters
    ----------
    stack
        The movie, with what its files say.
    pixel_size_um, frame_interval_s
        Values that the user gave, or None.
    has_interval
        True if the interval or the time of each frame is known.

    Returns
    -------
    sources : dict
        ``pixel_size_um`` and ``frame_interval_s`` to words, if they are known.
    warnings : list of str
        Sentences on given values that differ from those of the files.
    """
    told = stack.scales_from or FILES
    sources, warnings = {}, []
    if pixel_size_um is not None or stack.pixel_size_um is not None:
        sources["pixel_size_um"] = told if pixel_size_um is None else GIVEN
    if frame_interval_s is not None or has_interval:
        sources["frame_interval_s"] = told if frame_interval_s is None else GIVEN
    pairs = [("pixel size", "um", pixel_size_um, stack.pixel_size_um)]
    if not stack.times_s:  # the times of frames have a warning of their own
        pairs.append(("frame interval", "s", frame_interval_s, stack.frame_interval_s))
    for name, unit, given, found in pairs:
        warnings += tell_other(name, unit, given, found, told)
    warnings += [
        f"{column} is not known: the {told} say 1, which programs write where nobody gave a value."
        f" If it is 1, write that into the column `{column}`."
        for column in stack.defaults
        if column not in sources
    ]
    return sources, warnings


def tell_other(
    name: str, unit: str, given: float | None, found: float | None, told: str
) -> list[str]:
    """Return a sentence on a value that was given and contradicts the files; none if it fits.

    Examples
    --------
    >>> tell_other("pixel size", "um", 0.1, 0.2, "OME-XML")
    ['The pixel size of 0.1 um is used as given. By the OME-XML, it is 0.2 um.']
    >>> tell_other("pixel size", "um", 0.1, None, "OME-XML")
    []
    """
    if given is None or not found or abs(given / found - 1) <= DIFFERENCE:
        return []
    return [
        f"The {name} of {given:g} {unit} is used as given. By the {told}, it is {found:g} {unit}."
    ]


def doubt_pixel_size(pixel_size_um: float | None) -> list[str]:
    """Return a sentence on a pixel size that no microscope of cells has, as if in another unit.

    Examples
    --------
    >>> doubt_pixel_size(0.65)
    []
    >>> doubt_pixel_size(650)[0][:62]
    'The pixel size is 650 um. Microscopes of cells have 0.005 to 2'
    """
    low, high = PIXEL_SIZES_UM
    if pixel_size_um is None or low <= pixel_size_um <= high:
        return []
    return [
        f"The pixel size is {pixel_size_um:g} um. Microscopes of cells have {low:g} to {high:g} um"
        " a pixel: if it is in another unit, such as nm or mm, give `pixel_size_um` in um."
    ]


def tell_other_pixel_size(found: Found, given_um: float | None) -> list[str]:
    """Return a sentence if the files of a tissue, or images among them, contradict its pixel size.

    A transform in the folder is tested elsewhere, and then refused.
    """
    if found.um_to_px is not None:
        return []
    warnings = tell_other(
        "pixel size", "um", given_um, found.stains.pixel_size_um, "metadata of the images"
    )
    return warnings or tell_other("pixel size", "um", given_um, found.said_um, FILES)


def sources_of_tissue(found: Found, pixel_size_um: float | None) -> dict[str, str]:
    """Tell where the pixel size of a tissue comes from.

    Parameters
    ----------
    found
        Files of the sample.
    pixel_size_um
        Pixel size that the user gave, or None.
    """
    if found.um_to_px is not None:
        source = "transform in the folder"
    elif pixel_size_um is not None:
        source = GIVEN
    elif found.stains.pixel_size_um is not None:
        source = "metadata of the images"
    else:
        source = FILES
    return {"pixel_size_um": source}


def words(sources: dict[str, str], name: str) -> str:
    """Write where a value comes from, as the end of a phrase; empty if that is not recorded.

    Examples
    --------
    >>> words({"pixel_size_um": "OME-XML"}, "pixel_size_um")
    ' (from the OME-XML)'
    """
    return f" (from the {sources[name]})" if name in sources else ""


def words_of_unit(source: TranscriptSource) -> str:
    """Write in what unit plain coordinates were read, and why; empty if their names tell it."""
    if not source.unit_from:
        return ""
    return f", coordinates {source.x}, {source.y} read as {source.unit} ({source.unit_from})"


def other_unit(source: TranscriptSource) -> str:
    """Say how to change the unit of plain coordinates; empty if their names tell the unit."""
    if not source.unit_from:
        return ""
    other = "px" if source.unit == "um" else "um"
    return (
        f" The columns {source.x}, {source.y} were read as {source.unit} ({source.unit_from}): if"
        f" they are in {other}, rename them to x_{other}, y_{other}, and check pixel_size_um."
    )


def words_of_roles(roles: Mapping[str, Sequence[str]]) -> str:
    """Write the channels of each role, such as ``nuclear: DAPI; cell: CD45 + 18S``."""
    return "; ".join(f"{role}: {' + '.join(names)}" for role, names in roles.items())
