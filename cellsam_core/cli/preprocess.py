"""``preprocess``: a manifest -> the segmentation channels with even contrast, as OME-Zarr."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.segment.roles import CELL_NAME, NUCLEAR_NAME
from cellsam_core.segment.segmenter import PRESET_NAMES, is_published

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from cellsam_core.io.manifest import Manifest
    from cellsam_core.preprocess import Contrast

logger = logging.getLogger(__name__)

RGB = ["R", "G", "B"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", help="0_manifest.json of the sample")
    parser.add_argument(
        "--nuclear-channel", help="name of the nuclear stain; guessed if neither channel is named"
    )
    parser.add_argument(
        "--cell-channel",
        help="name of the cytoplasm, membrane or phase channel; guessed if neither is named",
    )
    parser.add_argument(
        "--clip-percentile",
        type=float,
        default=99.9,
        help="clip at this percentile of the non-zero pixels, 0-100",
    )
    parser.add_argument(
        "--clahe-kernel-px", type=int, default=128, help="side of the CLAHE regions in px"
    )
    parser.add_argument(
        "--clahe-clip-limit",
        default="auto",
        help="CLAHE contrast, 0-1; 0 leaves it out; auto: as the weights were trained",
    )
    parser.add_argument(
        "--weights",
        default="tiny",
        help="that will segment: they decide on CLAHE and on colours",
    )
    parser.add_argument(
        "--preset",
        choices=PRESET_NAMES,
        default=PRESET_NAMES[0],
        help="of the published CellSAM: likewise",
    )
    parser.add_argument("-o", "--output", required=True, help="frames.zarr to write")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.io import omezarr
    from cellsam_core.io.atomic import atomic_path
    from cellsam_core.io.manifest import Manifest

    contrast = _contrast(args)
    manifest = Manifest.load(args.manifest)
    roles = choose_roles(
        manifest, args.nuclear_channel or None, args.cell_channel or None, args.weights
    )
    for role, names in roles.items():
        logger.info("%s channel: %s", role, "grey of RGB" if names == RGB else names[0])
    is_movie = manifest.assay == "movie"
    shape = (len(roles), *manifest.shape_yx)
    with atomic_path(args.output) as temporary:
        store = omezarr.create(
            temporary,
            shape=(manifest.n_frames, *shape) if is_movie else shape,
            axes="tcyx" if is_movie else "cyx",
            dtype="uint16",
            channels=tuple(roles),
            pixel_size_um=manifest.pixel_size_um,
            frame_interval_s=manifest.frame_interval_s if is_movie else None,
        )
        progress = _Progress(manifest.n_frames * len(roles) * manifest.shape_yx[0])
        for frame in range(manifest.n_frames):
            for c, names in enumerate(roles.values()):
                for y0, rows in _bands(manifest, frame, names, contrast):
                    index = (c, slice(y0, y0 + len(rows)))
                    store.array[(frame, *index) if is_movie else index] = _to_uint16(rows)
                    progress.add(len(rows))


def choose_roles(
    manifest: Manifest, nuclear: str | None, cell: str | None, weights: str = "tiny"
) -> dict[str, list[str]]:
    """Decide which channels are segmented.

    Parameters
    ----------
    manifest
        The sample.
    nuclear, cell
        Channel names; with one of them None only the other is used, with both None they
        are guessed.
    weights
        That will segment; the published ones were trained on the grey of colour images.

    Returns
    -------
    dict
        ``nuclear`` and/or ``cell``, in this order, to the names of their channels: one, or
        R, G and B, of which the grey is taken. Of a colour image red is the nuclear one.

    Raises
    ------
    InputError
        A name is not in the manifest, or no channel's name says what it shows.
    """
    from cellsam_core.io.planes import channel_index

    given = {role: [name] for role, name in (("nuclear", nuclear), ("cell", cell)) if name}
    for names in given.values():
        channel_index(manifest, names[0])
    if given:
        return given
    channels = manifest.channels
    if len(channels) == 1:
        return {"cell": channels}
    if channels == RGB:
        if is_published(weights) or not _is_coloured(manifest):
            return {"cell": RGB}
        # Haematoxylin absorbs red, eosin does not: red shows nuclei, the grey all tissue.
        return {"nuclear": ["R"], "cell": RGB}
    guessed = {
        role: [name]
        for role, pattern in (("nuclear", NUCLEAR_NAME), ("cell", CELL_NAME))
        if (name := next((c for c in channels if pattern.search(c)), None))
    }
    # One channel can't be both: `NucCyto` is taken as nuclear.
    if guessed.get("nuclear") == guessed.get("cell"):
        guessed.pop("cell", None)
    if not guessed:
        raise InputError(
            f"sample {manifest.sample}",
            found=f"channels {', '.join(channels)}, none of which names a nuclear or cell stain",
            expected="to know the channels to segment",
            remedy="fill the column `nuclear_channel` or `cell_channel` of the sample sheet",
        )
    return guessed


def _is_coloured(manifest: Manifest) -> bool:
    """Tell colours from grey that was saved as RGB, by rows in the middle of the first frame."""
    from cellsam_core.io.planes import read_frame

    height, width = manifest.shape_yx
    rows = (max(0, height // 2 - 512), min(height, height // 2 + 512))
    red, green = read_frame(manifest, 0, ["R", "G"], (*rows, 0, width))
    return bool((red != green).any())


def _contrast(args: argparse.Namespace) -> Contrast:
    from cellsam_core.preprocess import Contrast, clahe_clip_limit_of

    limit = clahe_clip_limit_of(args.weights, args.preset)
    if args.clahe_clip_limit != "auto":
        try:
            limit = float(args.clahe_clip_limit)
        except ValueError:
            limit = -1.0  # refused below
    for name, value, is_valid, expected in (
        (
            "clip_percentile",
            args.clip_percentile,
            0 < args.clip_percentile <= 100,
            "above 0 to 100",
        ),
        ("clahe_kernel_px", args.clahe_kernel_px, args.clahe_kernel_px >= 8, "8 px or more"),
        ("clahe_clip_limit", args.clahe_clip_limit, 0 <= limit <= 1, "auto, or 0 to 1"),
    ):
        if not is_valid:
            remedy = f"correct `{name}` in the configuration"
            raise InputError(name, found=str(value), expected=expected, remedy=remedy)
    return Contrast(args.clip_percentile, args.clahe_kernel_px, limit)


def _bands(
    manifest: Manifest, frame: int, names: list[str], contrast: Contrast
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Process a plane at once if it is small, else by bands of rows."""
    from cellsam_core import preprocess
    from cellsam_core.io.planes import read_frame

    height, width = manifest.shape_yx

    def read(y0: int, y1: int, x0: int = 0, x1: int = width) -> NDArray[np.generic]:
        pixels = read_frame(manifest, frame, names, (y0, y1, x0, x1))
        return preprocess.to_grey(pixels) if len(names) > 1 else pixels[0]

    limits = None
    if manifest.fields is not None:
        # What lies between fields of view is no image, and has no part in the contrast.
        h, w = manifest.fields.shape_yx
        fields = (read(y, y + h, x, x + w) for y, x in manifest.fields.offset_yx)
        n_pixels = len(manifest.fields.offset_yx) * h * w
        limits = preprocess.intensity_limits(fields, n_pixels, contrast.clip_percentile)
    if height * width > preprocess.WHOLE_PLANE_PX:
        yield from preprocess.preprocess_bands(read, manifest.shape_yx, contrast, limits)
    else:
        yield 0, preprocess.preprocess_plane(read(0, height), **asdict(contrast), limits=limits)


def _to_uint16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    import numpy as np

    return np.round(values * 65535).astype(np.uint16)


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
