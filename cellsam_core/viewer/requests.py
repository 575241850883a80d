"""Values of requests: numbers and words of fixed lists; anything else is refused."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from cellsam_core.viewer.tiles import Channel

if TYPE_CHECKING:
    from starlette.requests import Request

    from cellsam_core.viewer.pyramid import Pyramid
    from cellsam_core.viewer.samples import Library, Sample

CHANNEL = re.compile(r"(\d{1,3}):([0-9a-f]{6}):(\d{1,5}):(\d{1,5})", re.ASCII)
MAX_NUMBER = 2**31 - 1
MAX_CHANNELS = 8
MAX_GENES = 8


def sample_of(request: Request, library: Library) -> Sample:
    """Return the sample that the path names, if it is in the list."""
    sample = library.get(request.path_params["sample"])
    if sample is None:
        raise HTTPException(404, "There is no such sample.")
    return sample


def number(request: Request, name: str, below: int, least: int = 0) -> int:
    """Return a whole number of the path."""
    text = request.path_params[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) < below):
        raise HTTPException(422, f"{name} is no number from {least} to {below - 1}.")
    return int(text)


def place(request: Request, image: Pyramid) -> tuple[int, int, tuple[int, int]]:
    """Return frame, level and (row, column) of a tile."""
    frame = number(request, "t", image.n_frames)
    level = number(request, "level", image.n_levels)
    height, width = image.size(level)
    column = number(request, "x", -(-width // 512))
    row = number(request, "y", -(-height // 512))
    return frame, level, (row, column)


def current(request: Request, sample: Sample) -> None:
    """Refuse the address of results that are no longer there."""
    if request.path_params["version"] != sample.version:
        raise HTTPException(410, "The results were made anew.")


def channels(request: Request, n_channels: int) -> list[Channel]:
    """Return the looks of the channels, ``index:rrggbb:low:high`` each."""
    texts = request.query_params.get("c", "").split(",")
    found = []
    for text in texts[: MAX_CHANNELS + 1]:
        match = CHANNEL.fullmatch(text)
        if match is None or len(texts) > MAX_CHANNELS:
            raise HTTPException(422, "c is no list of index:rrggbb:low:high.")
        index, low, high = (int(match[k]) for k in (1, 3, 4))
        if index >= n_channels or not low < high <= 65535:
            raise HTTPException(422, "c is no list of index:rrggbb:low:high.")
        red, green, blue = bytes.fromhex(match[2])
        found.append(Channel(index, (red, green, blue), low, high))
    return found


def genes(request: Request, n_genes: int) -> list[int]:
    """Return the indices of the chosen genes; empty for all."""
    text = request.query_params.get("g", "")
    parts = text.split(",") if text else []
    is_sound = all(p.isascii() and p.isdecimal() and len(p) < 7 and int(p) < n_genes for p in parts)
    if not is_sound or len(parts) > MAX_GENES:
        raise HTTPException(422, f"g is no list of at most {MAX_GENES} genes.")
    return [int(part) for part in parts]


def body(request: Request) -> dict[str, Any]:
    """Return the JSON object that was sent."""
    try:
        found = json.loads(request.state.content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HTTPException(422, "The body is no JSON object.")
    return found


def items(said: dict[str, Any], name: str, most: int = 64) -> list[Any]:
    """Return a list of the object that was sent."""
    found = said.get(name)
    if not isinstance(found, list) or not 0 < len(found) <= most:
        raise HTTPException(422, f"{name} is no list of at most {most}.")
    return found


def as_whole(value: object, name: str, below: int = MAX_NUMBER) -> int:
    """Return a whole number from 0 on; anything else is refused."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < below:
        raise HTTPException(422, f"{name} is no number from 0 to {below - 1}.")
    return value


def whole(said: dict[str, Any], name: str, below: int) -> int:
    """Return a whole number of the object that was sent."""
    return as_whole(said.get(name), name, below)


def box(item: object, shape_yx: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the corners x0, y0, x1, y1 of a box, in pixels, cut at the borders of the image."""
    sides = item if isinstance(item, list) and len(item) == 4 else []
    numbers = [float(v) for v in sides if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise HTTPException(422, "A box is no list of four numbers.")
    height, width = shape_yx
    limits = (width, height, width, height)
    cut = [min(max(v, -0.5), limit - 0.5) for v, limit in zip(numbers, limits, strict=True)]
    x0, y0, x1, y1 = cut
    if x1 - x0 < 1 or y1 - y0 < 1:
        raise HTTPException(422, "A box lies outside of the image or is smaller than a pixel.")
    return x0, y0, x1, y1
