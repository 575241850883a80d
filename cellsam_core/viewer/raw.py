"""Raw channels of a sample, beside the preprocessed ones that were segmented."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.samples.frames import read_frame
from cellsam_core.viewer.pyramid import MAX_REDUCED_PX, Pyramid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.viewer.pyramid import ChunkCache

RAW = "raw "
"""Beginning of the name of a raw channel on the page."""
FULL = 65535


class WithRaw(Pyramid):
    """Preprocessed frames, followed by the raw channels, stretched to 16 bits.

    Raw files have no levels, so that their planes are read whole: larger images than 4096 px have
    their preprocessed channels only. The same holds where the raw files are no longer there.

    Parameters
    ----------
    image
        Preprocessed frames.
    cache
        Cache of chunks, shared by all images.
    manifest
        The sample.
    """

    def __init__(self, image: OmeZarr, cache: ChunkCache, manifest: Manifest) -> None:
        super().__init__(image, cache)
        self._n_own = len(image.channels)
        self._manifest = manifest
        self._peaks: dict[str, float] = {}
        if max(self.shape_yx) <= MAX_REDUCED_PX and _is_there(manifest):
            self.channels = (*image.channels, *(RAW + name for name in manifest.channels))

    def read(
        self, level: int, index: tuple[int, ...], corner: tuple[int, int], shape: tuple[int, int]
    ) -> NDArray[Any] | None:
        """Read a region of one plane; see :meth:`.Pyramid.read`.

        Raises
        ------
        InputError
            A chunk is damaged, or a raw file can't be read.
        """
        channel = index[-1] - self._n_own
        if channel < 0:
            return super().read(level, index, corner, shape)
        plane = self._plane(index[0] if len(index) > 1 else 0, self._manifest.channels[channel])
        step = 1 << level
        (y, x), (height, width) = (c * step for c in corner), (n * step for n in shape)
        part = plane[y : y + height, x : x + width]
        missing = [(0, n - m) for n, m in zip((height, width), part.shape, strict=True)]
        blocks = np.pad(part, missing, mode="edge").reshape(shape[0], step, shape[1], step)
        return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32).astype(np.uint16))

    def _plane(self, frame: int, name: str) -> NDArray[np.uint16]:
        """Read a raw plane, stretched so that the brightest pixel of the channel is white."""
        key = (str(self.path), self.version, RAW, frame, name)
        plane = self._cache.get(key)
        if plane is None:
            pixels = self._raw(frame, name)
            scaled = pixels * (FULL / self._peak(name))
            plane = np.clip(scaled, 0, FULL).astype(np.uint16)
            self._cache.put(key, plane)
        return plane

    def _raw(self, frame: int, name: str) -> NDArray[np.float32]:
        pixels = read_frame(self._manifest, frame, [name])[0]
        return np.nan_to_num(np.asarray(pixels, np.float32))

    def _peak(self, name: str) -> float:
        if name not in self._peaks:
            frames = {0, self.n_frames // 2, self.n_frames - 1}
            self._peaks[name] = max(1e-9, *(float(self._raw(t, name).max()) for t in frames))
        return self._peaks[name]


def _is_there(manifest: Manifest) -> bool:
    """Tell whether the first raw plane can be read; results may be on another computer."""
    first = next((plane for row in manifest.planes for plane in row if plane is not None), None)
    if first is None or not Path(first.path).exists():
        return False
    try:
        read_frame(manifest, 0, manifest.channels[:1], (0, 1, 0, 1))
    except InputError:
        return False
    return True
