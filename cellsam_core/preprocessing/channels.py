"""Choice of the nuclear and the cell channel among the channels of a sample."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.names.named_images import NUMBER_OF_CHANNEL
from cellsam_core.models import is_published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.preprocessing.images import RawImages

    Stains = str | Sequence[str] | None

ROLES = ("nuclear", "cell")
NUCLEAR_NAME = re.compile(r"dapi|hoechst|h2b|h2a|histone|nuc|draq|syto", re.IGNORECASE)
CELL_NAME = re.compile(
    r"poly.?t|cell|boundar|memb|phase|ph-?c|bright|transm|cyto|wga|actin|phalloidin|18s|rrna"
    r"|(^|\W|_)(ph|bf|dic)(\W|_|\d|$)",
    re.IGNORECASE,
)
RGB = ["R", "G", "B"]
UNNAMED = "channel_1"
"""Name of the only channel of a movie whose files name none."""
SAMPLED_ROWS_PX = 1024
LEAST_LIGHT, MIDDLE_LIGHT = 0.17, 0.65
"""Light of a section's darkest and of its middle places, as a share of that of the brightest."""


def choose_roles(
    images: RawImages, nuclear: Stains, cell: Stains, weights: str = "tiny"
) -> dict[str, list[str]]:
    """Decide which channels are segmented.

    Parameters
    ----------
    images
        Raw images of the sample.
    nuclear, cell
        Names of the nuclear and of the cell channels: one text, in which commas separate names,
        or several texts. If one role is missing, only the other is used; if both are missing, they
        are those of the vendor's kit, or guessed.
    weights
        Name or path of the weights that will segment; the published ones were trained on the
        grey values of colour images.

    Returns
    -------
    dict
        ``nuclear`` and/or ``cell``, in this order, with the names of their channels: one name;
        several, which are fused; or R, G and B, of which the grey values are taken. In a colour
        image of a stained section, red is the nuclear channel.

    Raises
    ------
    InputError
        A name is not among the channels or given twice, or no channel has the name of a known
        stain.
    """
    given = {
        role: _names(images, f"{role}_channel", names)
        for role, names in (("nuclear", nuclear), ("cell", cell))
        if names
    }
    if given:
        return given
    if images.kit:
        return images.kit
    channels = [name for name in images.channels if name not in images.partial]
    if len(images.channels) == 1:
        return {"cell": images.channels}
    if channels == RGB:
        # Haematoxylin absorbs red, eosin does not: red shows nuclei, the grey all tissue.
        if not is_published(weights) and is_stained_section(_middle(images)):
            return {"nuclear": ["R"], "cell": RGB}
        return {"cell": RGB}
    guessed = guess_roles(channels)
    if not guessed:
        raise InputError(
            images.name,
            found=f"channels {', '.join(channels)}, none of which names a nuclear or cell stain",
            expected="to know the channels to segment",
            remedy="fill the column `nuclear_channel` or `cell_channel` of the sample sheet,"
            " or name a channel `nuclear` or `cell`",
        )
    return guessed


def guess_roles(channels: Sequence[str]) -> dict[str, list[str]]:
    """Guess the nuclear and the cell channel from the names of stains; empty if no name tells.

    Parameters
    ----------
    channels
        Names of channels that were imaged in every frame.
    """
    guessed = {
        role: [name]
        for role, pattern in (("nuclear", NUCLEAR_NAME), ("cell", CELL_NAME))
        if (name := next((c for c in channels if pattern.search(c)), None))
    }
    # One channel can't be both: `NucCyto` is taken as nuclear.
    if guessed.get("nuclear") == guessed.get("cell"):
        guessed.pop("cell", None)
    return guessed


def is_fused(names: Sequence[str]) -> bool:
    """Tell whether the channels of a role are fused: several that are not colours of one image."""
    return len(names) > 1 and list(names) != RGB


def name_stains(names: Sequence[str]) -> str:
    """Name the channels of a role in a sentence."""
    return "grey of the colours" if list(names) == RGB else " + ".join(names)


def _names(images: RawImages, option: str, given: str | Sequence[str]) -> list[str]:
    """Split a text at its commas, unless it is the name of one channel, and test all names."""
    is_one = isinstance(given, str) and given in images.channels
    texts = [given] if is_one else given.split(",") if isinstance(given, str) else given
    names = [str(text).strip() for text in texts]
    if names == [UNNAMED] and len(images.channels) == 1:
        names = images.channels  # so that a name of before its stain was known goes on
    for name in names:
        _require(images, name)
    if len(set(names)) < len(names):
        raise InputError(
            f"option `{option}`",
            found=f"a name twice in {', '.join(names)}",
            expected="different channels, which are fused",
            remedy="name each channel once",
        )
    return names


def _require(images: RawImages, name: str) -> None:
    if name not in images.channels:
        raise InputError(
            images.name,
            found=f"no channel {name!r}",
            expected=f"one of {', '.join(images.channels)}",
            remedy="write one of these names, or, to keep the names in the file names, write all of"
            " those into the column `channels`, separated by commas"
            if NUMBER_OF_CHANNEL.fullmatch(name)
            else "correct the channel's name",
        )
    if name in images.partial:
        whole = [channel for channel in images.channels if channel not in images.partial]
        raise InputError(
            images.name,
            found=f"frames without channel {name}",
            expected="a channel that was imaged in every frame, because cells are segmented there",
            remedy=f"name another channel, such as {whole[0]}" if whole else "add the images",
        )


def is_stained_section(pixels: NDArray[Any]) -> bool:
    """Tell colours of light that passed a stained section from those of fluorescence, and grey.

    Light passes even the darkest nuclei of a section, and most of it passes the rest: in 107 images
    of haematoxylin and eosin one pixel in a hundred is darker than 0.19 to 0.85 of the brightest
    ones, and half are darker than 0.59 to 0.99. Between cells that shine it is dark: 0.00 to 0.15
    and 0.20 to 0.58 in composites of fluorescence. Sections are photographed in 8 bits; colours of
    more bits are stains, whose dark may be the offset of a camera.

    Parameters
    ----------
    pixels
        Red, green and blue ``(3, y, x)``.
    """
    if pixels.dtype != np.uint8 or not (pixels != pixels[:1]).any():
        return False
    light = pixels.mean(0, dtype=np.float32)
    light = light[light > 0]  # beyond the section a scanner writes 0
    dark, middle, bright = np.percentile(light, [1, 50, 99])
    return bool(dark > LEAST_LIGHT * bright or middle > MIDDLE_LIGHT * bright)


def _middle(images: RawImages) -> NDArray[Any]:
    """Read colours ``(3, y, x)`` of rows in the middle of the first frame."""
    height, width = images.shape_yx
    middle, half = height // 2, SAMPLED_ROWS_PX // 2
    rows = max(0, middle - half), min(height, middle + half)
    return images.read(0, RGB, (*rows, 0, width))
