"""Movies of discs, drawn as label images."""

from __future__ import annotations

import numpy as np

Disc = tuple[int, float, float, float]  # label, y, x, radius


def draw(discs: list[Disc], shape: tuple[int, int] = (96, 128)) -> np.ndarray:
    labels = np.zeros(shape, dtype=np.uint16)
    y, x = np.ogrid[: shape[0], : shape[1]]
    for label, cy, cx, radius in discs:
        labels[((y - cy) ** 2 + (x - cx) ** 2 <= radius**2) & (labels == 0)] = label
    return labels


def division_movie() -> list[np.ndarray]:
    """A parent (label 1) divides between frames 3 and 4; a bystander (label 9)."""
    frames = []
    for t in range(10):
        discs: list[Disc] = [(9, 20, 20 + t, 8)]
        if t < 4:
            discs.append((1, 60, 60, 12))
        else:
            reach = 7 + 1.5 * (t - 4)
            discs += [(2, 60, 60 - reach, 8.5), (3, 60, 60 + reach, 8.5)]
        frames.append(draw(discs))
    return frames


def tripolar_movie(reach: float = 16.0) -> list[np.ndarray]:
    """A parent (label 1) divides into three (2, 3, 4) between frames 3 and 4; a bystander (9)."""
    frames = []
    for t in range(10):
        discs: list[Disc] = [(9, 16, 16, 8)]
        if t < 4:
            discs.append((1, 50, 70, 14))
        else:
            r = min(9 + 2 * (t - 4), reach)
            angles = np.deg2rad([90, 210, 330])
            discs += [
                (i + 2, 50 - r * np.sin(a), 70 + r * np.cos(a), 7.5) for i, a in enumerate(angles)
            ]
        frames.append(draw(discs))
    return frames


def crowd(n_frames: int = 12, seed: int = 0) -> list[np.ndarray]:
    """Sixty moving discs, some missing in a frame, with new labels in every frame."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(6), np.arange(10), indexing="ij"), -1).reshape(-1, 2)
    position = grid * 20.0 + 20
    frames = []
    for _ in range(n_frames):
        position = position + rng.normal(0, 1.2, position.shape)
        values = rng.permutation(60) + 1
        shown = rng.random(60) > 0.02
        discs = [
            (int(v), *p, 7.0) for v, p, s in zip(values, position.tolist(), shown, strict=True) if s
        ]
        frames.append(draw(discs, (160, 240)))
    return frames


def budding_movie() -> list[np.ndarray]:
    """Two mothers (1, 2); a bud (3) on the first from frame 2; a small cell (4) far away."""
    frames = []
    for t in range(9):
        discs: list[Disc] = [(1, 48, 30, 12), (2, 48, 90, 12)]
        if t >= 2:
            radius = 3.5 + 0.7 * (t - 2)
            discs.append((3, 48, 42.5 + radius, radius))
        if t >= 4:
            discs.append((4, 85, 100, 5))
        frames.append(draw(discs))
    return frames
