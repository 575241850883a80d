"""Transcripts of a tissue, sorted by squares of 512 px: as points, or as density from afar."""

from __future__ import annotations

import tempfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cellsam_core.files.parquet import open_parquet
from cellsam_core.files.tables import table_errors
from cellsam_core.samples.affine import apply_affine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BIN_PX = 512
BATCH_ROWS = 1 << 18
IN_MEMORY = 20_000_000
"""Above this number of transcripts, the sorted columns are files that the system may page out."""
STEPS = 64
"""Positions are kept to 1/64 px."""
DENSITY_CELLS = 1024
"""Squares of the density along the longer side of the image, at most."""


class Points:
    """Transcripts sorted by their squares.

    Parameters
    ----------
    path
        ``transcripts.parquet``.
    um_to_px
        Matrix 3x3 from micrometres to image pixels.
    shape_yx
        Height and width of the image in pixels; transcripts outside are left out.
    """

    def __init__(
        self, path: Path, um_to_px: Sequence[Sequence[float]], shape_yx: tuple[int, int]
    ) -> None:
        self._matrix = np.asarray(um_to_px, dtype=np.float64)
        self.shape_yx = shape_yx
        self.n_bins = tuple(-(-side // BIN_PX) for side in shape_yx)
        self.features: list[str] = []
        self._codes: dict[str, int] = {}
        with table_errors(path):
            counts = self._count(path)
            self._starts = np.concatenate(([0], np.cumsum(counts)))
            self._fill(path)
        self.totals = np.bincount(self._gene, minlength=len(self.features))

    def __len__(self) -> int:
        """Return the number of transcripts inside the image."""
        return int(self._starts[-1])

    def _batches(
        self, path: Path
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]]:
        """Yield bin, position in the bin and name of the transcripts inside the image."""
        with open_parquet(path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=["x_um", "y_um", "feature"]):
                um = np.stack([np.asarray(batch.column(k), np.float64) for k in (0, 1)])
                xy = apply_affine(self._matrix, um) + 0.5  # the image begins half a pixel before 0
                height, width = self.shape_yx
                inside = (xy[0] >= 0) & (xy[0] < width) & (xy[1] >= 0) & (xy[1] < height)
                xy = xy[:, inside]
                place = xy.astype(np.int64) // BIN_PX
                within = ((xy - place * BIN_PX) * STEPS).astype(np.uint16)
                names = self._encode(batch.column(2), inside)
                yield place[1] * self.n_bins[1] + place[0], within, names

    def _encode(self, column: pa.Array, inside: NDArray[np.bool_]) -> NDArray[np.uint16]:
        encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
        names = [str(name) for name in encoded.dictionary.to_pylist()]
        for name in names:
            if name not in self._codes:
                self._codes[name] = len(self.features)
                self.features.append(name)
        codes = np.array([self._codes[name] for name in names], np.uint16)
        of_rows: NDArray[np.uint16] = codes[np.asarray(encoded.indices)[inside]]
        return of_rows

    def _count(self, path: Path) -> NDArray[np.int64]:
        counts = np.zeros(self.n_bins[0] * self.n_bins[1], np.int64)
        for bins, _, _ in self._batches(path):
            counts += np.bincount(bins, minlength=len(counts))
        return counts

    def _fill(self, path: Path) -> None:
        n = len(self)
        self._x, self._y, self._gene = (self._column(n) for _ in range(3))
        after = self._starts[:-1].copy()
        for bins, within, gene in self._batches(path):
            order = np.argsort(bins, kind="stable")
            sorted_bins = bins[order]
            firsts = np.searchsorted(sorted_bins, sorted_bins)
            to = after[sorted_bins] + np.arange(len(order)) - firsts
            self._x[to], self._y[to] = within[0][order], within[1][order]
            self._gene[to] = gene[order]
            after += np.bincount(bins, minlength=len(after))

    def _column(self, n: int) -> NDArray[np.uint16]:
        if n <= IN_MEMORY:
            return np.empty(n, np.uint16)
        file = tempfile.TemporaryFile()  # noqa: SIM115
        return np.asarray(np.memmap(file, np.uint16, "w+", shape=(n,)))

    def counts(self, genes: Sequence[int]) -> NDArray[np.int64]:
        """Count the transcripts of some genes in each square ``(rows, columns)``."""
        if not genes:
            return np.diff(self._starts).reshape(self.n_bins)
        total = np.concatenate(([0], np.cumsum(np.isin(self._gene, genes))))
        return np.diff(total[self._starts]).reshape(self.n_bins)

    def points(self, row: int, column: int, genes: Sequence[int]) -> bytes:
        """Pack the transcripts of a square: all x, all y in 1/64 px, all genes, as uint16.

        Parameters
        ----------
        row, column
            Place of the square.
        genes
            Indices of the features; all without any.
        """
        rows = self._rows(row, column)
        x, y, gene = self._x[rows], self._y[rows], self._gene[rows]
        if genes:
            chosen = np.isin(gene, genes)
            x, y, gene = x[chosen], y[chosen], gene[chosen]
        return b"".join(values.astype("<u2").tobytes() for values in (x, y, gene))

    def density(self, genes: Sequence[int]) -> bytes:
        """Count transcripts in squares of the whole image, at most 1024 along its longer side.

        Returns
        -------
        bytes
            Deflated little-endian uint32: rows, columns, side of a square in pixels, counts.
        """
        side = max(4, -(-max(self.shape_yx) // DENSITY_CELLS))
        rows, columns = (-(-n // side) for n in self.shape_yx)
        counts = np.zeros(rows * columns, np.int64)
        for at in range(len(self._starts) - 1):
            part = self._rows(*divmod(at, self.n_bins[1]))
            if part.start == part.stop:
                continue
            y, x = self._y[part], self._x[part]
            if genes:
                chosen = np.isin(self._gene[part], genes)
                y, x = y[chosen], x[chosen]
            row, column = divmod(at, self.n_bins[1])
            place_y = (y.astype(np.int64) // STEPS + row * BIN_PX) // side
            place_x = (x.astype(np.int64) // STEPS + column * BIN_PX) // side
            np.add.at(counts, place_y * columns + place_x, 1)
        head = np.array([rows, columns, side], "<u4").tobytes()
        return zlib.compress(head + counts.astype("<u4").tobytes(), 1)

    def _rows(self, row: int, column: int) -> slice:
        at = row * self.n_bins[1] + column
        return slice(int(self._starts[at]), int(self._starts[at + 1]))
