"""Inputs of plausible form that no analysis should be trusted on, made from simulated samples.

Each function below changes the files of a simulated movie or tissue in place. ``quality`` goes from
0 (as simulated) to 1 (unusable), so that :mod:`measure_verdict` can look for the level at which the
verdict changes.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tifffile
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Stack = NDArray[np.uint16]
    Change = Callable[[Stack, float, np.random.Generator], NDArray[Any]]

CAMERA_OFFSET, CAMERA_NOISE = 100, 6
NUCLEI, REPORTER = "H2B", "AMPKAR_480"


def camera(signal: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Add the offset and the noise of a camera."""
    return CAMERA_OFFSET + signal + rng.normal(0, CAMERA_NOISE, signal.shape)


def noise(stack: Stack, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """Mix the image with blurred noise of the same range."""
    blurred = ndimage.gaussian_filter(rng.normal(size=stack.shape), (0, 3, 3))
    blurred = (blurred - blurred.min()) / np.ptp(blurred)
    span = float(np.percentile(stack, 99.5))
    return (1 - level) * stack + level * span * blurred


def shot_noise(stack: Stack, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """Lower the exposure: fewer photons over the same noise of the camera."""
    signal = np.clip(stack.astype(float) - CAMERA_OFFSET, 0, None)
    photons = signal / max(float(np.percentile(signal, 99.5)), 1) * 300 ** (1 - level)
    return camera(2 * rng.poisson(photons), rng)


def blank(stack: Stack, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """Show nothing but the camera."""
    return camera((1 - level) * (stack.astype(float) - CAMERA_OFFSET), rng)


def defocus(stack: Stack, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """Blur by up to 12 px, two thirds of a nucleus."""
    signal = ndimage.gaussian_filter(
        stack.astype(float) - CAMERA_OFFSET, (0, 12 * level, 12 * level)
    )
    return camera(signal, rng)


def wrong_channel(stack: Stack, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """Show uneven light without cells, as a channel without a stain does."""
    y, x = np.mgrid[: stack.shape[1], : stack.shape[2]]
    light = 150 + 80 * np.exp(-((y - 90) ** 2 + (x - 150) ** 2) / 2 / 120**2)
    signal = rng.poisson(np.broadcast_to(light, stack.shape))
    return (1 - level) * stack + level * camera(signal, rng)


def black_frames(stack: Stack, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """Show nothing in a share of the frames, as if the lamp failed."""
    result = stack.astype(float)
    dark = rng.permutation(len(stack))[: round(level * len(stack))]
    result[dark] = camera(np.zeros((len(dark), *stack.shape[1:])), rng)
    return result


def duplicated(stack: Stack, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """Show the frame before in the place of a share of the frames."""
    result = stack.copy()
    for frame in 1 + rng.permutation(len(stack) - 1)[: round(level * len(stack))]:
        result[frame] = result[frame - 1]
    return result


def shuffled(stack: Stack, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """Put a share of the frames into a random order."""
    which = np.sort(rng.permutation(len(stack))[: round(level * len(stack))])
    result = stack.copy()
    result[which] = stack[rng.permutation(which)]
    return result


def saturated(stack: Stack, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """Raise the gain up to 40 times, so that the brightest pixels are all alike."""
    top = float(np.percentile(stack, 99.9))
    return stack.astype(float) * (65535 / top) * 40 ** (level - 0.25)


def dust(stack: Stack, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """Show specks that stay where they are, and no cells."""
    specks = np.zeros(stack.shape[1:])
    for y, x in rng.uniform(0, stack.shape[1:], (30, 2)).astype(int):
        specks[y, x] = rng.uniform(5_000, 40_000)
    shape = ndimage.gaussian_filter(specks, 1.3)
    return (1 - level) * stack + level * camera(np.broadcast_to(shape, stack.shape), rng)


IMAGE_CHANGES: dict[str, Change] = {
    f.__name__: f
    for f in (noise, shot_noise, blank, defocus, wrong_channel, black_frames, duplicated)
} | {f.__name__: f for f in (shuffled, saturated, dust)}
ONE_CHANNEL = {"wrong_channel", "saturated", "dust"}


def change_movie(folder: Path, change: str, level: float, seed: int) -> None:
    """Change the images of a simulated movie, ``<channel>/tNNN.tif``.

    Parameters
    ----------
    folder
        Folder of the channels.
    change
        Key of :data:`IMAGE_CHANGES`.
    level
        0 changes nothing, 1 leaves nothing usable.
    seed
        Seed; the channels have the same frames exchanged or left out.
    """
    for channel in sorted(folder.iterdir()):
        if change in ONE_CHANNEL and channel.name != NUCLEI:
            continue
        paths = sorted(channel.glob("*.tif"))
        stack = np.stack([tifffile.imread(path) for path in paths])
        changed = IMAGE_CHANGES[change](stack, level, np.random.default_rng(seed))
        for path, plane in zip(paths, changed, strict=True):
            tifffile.imwrite(path, plane.round().clip(0, 65535).astype(np.uint16))


def change_stains(folder: Path, change: str, level: float, seed: int) -> None:
    """Change the stains of a simulated MERSCOPE folder; see :func:`change_movie`."""
    for path in sorted((folder / "images").glob("mosaic_*.tif")):
        stack = tifffile.imread(path)[None]
        changed = IMAGE_CHANGES[change](stack, level, np.random.default_rng(seed))[0]
        tifffile.imwrite(path, changed.round().clip(0, 65535).astype(np.uint16))


def swap_transform(folder: Path) -> None:
    """Exchange x and y in the table of transcripts."""
    path = folder / "detected_transcripts.csv"
    table = pd.read_csv(path, index_col=0)
    x, y = table["global_x"] - table["global_x"].min(), table["global_y"] - table["global_y"].min()
    table["global_x"], table["global_y"] = y + table["global_x"].min(), x + table["global_y"].min()
    table.to_csv(path)


def other_region(folder: Path, other: Path) -> None:
    """Put the transcripts of another section in the place of the section's own."""
    shutil.copy(other / "detected_transcripts.csv", folder / "detected_transcripts.csv")


def shift_transcripts(folder: Path, shift_um: float) -> None:
    """Move the transcripts along x and y."""
    path = folder / "detected_transcripts.csv"
    table = pd.read_csv(path, index_col=0)
    table[["global_x", "global_y"]] += shift_um
    table.to_csv(path)
