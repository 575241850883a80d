"""The folder that decoding leaves: stains and transcripts, as an instrument would have written."""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile

from cellsam_core.decoding.calibrate import rate_of_counts, threshold_for_rate
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.parquet import parquet_writer
from cellsam_core.samples.vendors.merscope import TRANSFORM_NAME
from cellsam_core.version import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from cellsam_core.decoding.codebook import Codebook
    from cellsam_core.decoding.field import Calls
    from cellsam_core.mosaic import Mosaic

TRANSCRIPTS_NAME = "transcripts.parquet"
QUALITY_NAME = "decode_qc.json"
SPOTS_NAME = "spots"
SPOTS_PER_NOISE_LEVEL = 50  # grey values
CANDIDATES_NAME = ".candidates.parquet"
CURVE_POINTS = 200
NOT_IN_NAMES = re.compile(r"[^\w+-]")
SCHEMA = pa.schema(
    [
        *dict.fromkeys(("x_um", "y_um", "z"), pa.float64()).items(),
        ("gene", pa.dictionary(pa.int32(), pa.string())),
        ("field", pa.string()),
        *dict.fromkeys(("log_odds", "distance"), pa.float32()).items(),
    ]
)


class DecodedWriter:
    """Writes mosaics field by field, keeps candidates on disk, and filters them at the end.

    Memory holds one field and, for the threshold, five bytes a candidate.

    Parameters
    ----------
    folder
        To write; it appears when complete.
    codebook, mosaic
        Of the sample.
    stains
        Names; none for a sample that is segmented on its spots.
    """

    def __init__(self, folder: Path, codebook: Codebook, mosaic: Mosaic, stains: list[str]) -> None:
        self.fields: list[dict[str, Any]] = []
        self._codebook, self._mosaic, self._stains = codebook, mosaic, stains
        self._folder = folder
        self._exit = ExitStack()
        self._images: dict[str, NDArray[Any]] = {}
        self._log_odds: list[NDArray[np.float32]] = []
        self._is_blank: list[NDArray[np.bool_]] = []

    def __enter__(self) -> Self:
        self._root = self._exit.enter_context(atomic_path(self._folder))
        self._root.mkdir()
        rows = self._mosaic.um_to_px.tolist()
        text = "".join(" ".join(map(repr, row)) + "\n" for row in rows)
        (self._root / TRANSFORM_NAME).write_text(text)
        self._candidates = pq.ParquetWriter(self._root / CANDIDATES_NAME, SCHEMA)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._candidates.close()
        self._images.clear()
        self._exit.__exit__(kind, error, trace)

    def add_stain(self, field: int, name: str, image: NDArray[Any]) -> None:
        """Copy what belongs to a field of one of its stains, ``(y, x)``, into the mosaic."""
        mosaic = self._image(name, image.dtype)
        height, width = image.shape
        owned = self._mosaic.owned_pixels(field)
        y, x = self._mosaic.offset_yx[field]
        window = mosaic[y : y + height, x : x + width]
        window[owned] = image[owned]

    def add_spots(self, field: int, noise_levels: NDArray[np.float32]) -> None:
        """Brighten the projection of all spots by a plane's, ``(y, x)``."""
        grey = np.clip(noise_levels * SPOTS_PER_NOISE_LEVEL, 0, 65535).astype(np.uint16)
        mosaic = self._image(SPOTS_NAME, grey.dtype)
        height, width = grey.shape
        y, x = self._mosaic.offset_yx[field]
        window = mosaic[y : y + height, x : x + width]
        np.maximum(window, grey, out=window)

    def _image(self, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
        if name not in self._images:
            # A name is what its file is called up to the first dot.
            path = self._root / f"{NOT_IN_NAMES.sub('_', name)}.tif"
            self._images[name] = tifffile.memmap(
                path,
                shape=self._mosaic.shape_yx,
                dtype=dtype,
                photometric="minisblack",
                software=False,
                metadata=None,
            )
            # A full disk is told now; later, writing to mapped memory would end the process.
            with path.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        return self._images[name]

    def add_calls(self, field: int, name: str, calls: Calls) -> int:
        """Keep the calls that belong to a field; return their number."""
        calls = calls.take(self._mosaic.owns(field, calls.y_px, calls.x_px))
        offset_y, offset_x = self._mosaic.offset_yx[field]
        origin_x, origin_y = self._mosaic.origin_um
        size = self._mosaic.pixel_size_um
        n = len(calls.codeword)
        arrays = [
            pa.array(origin_x + (calls.x_px + offset_x) * size),
            pa.array(origin_y + (calls.y_px + offset_y) * size),
            pa.array(calls.z.astype(np.float64)),
            pa.DictionaryArray.from_arrays(
                pa.array(calls.codeword), pa.array(self._codebook.names, pa.string())
            ),
            pa.array(np.full(n, name, dtype=object), pa.string()),
            pa.array(calls.log_odds),
            pa.array(calls.distance),
        ]
        self._candidates.write_batch(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
        self._log_odds.append(calls.log_odds)
        self._is_blank.append(self._codebook.is_blank[calls.codeword])
        return n

    def finish(self, target_rate: float) -> dict[str, Any]:
        """Write the transcripts that keep the rate, and what the report needs.

        Returns
        -------
        dict
            Numbers of calls and the rate that they have.
        """
        self._candidates.close()
        log_odds = np.concatenate(self._log_odds)
        is_blank = np.concatenate(self._is_blank)
        n_blanks = int(self._codebook.is_blank.sum())
        n_genes = len(self._codebook.names) - n_blanks
        threshold = threshold_for_rate(log_odds, is_blank, n_blanks, n_genes, target_rate)
        self._write_transcripts(threshold)
        kept = log_odds >= threshold
        n_blank_calls, n_gene_calls = int((kept & is_blank).sum()), int((kept & ~is_blank).sum())
        rate = None
        if n_blanks and n_gene_calls:
            rate = float(rate_of_counts(n_blank_calls, n_gene_calls, n_blanks, n_genes))
        summary: dict[str, Any] = {
            "n_gene_calls": n_gene_calls,
            "n_blank_calls": n_blank_calls,
            "n_genes": n_genes,
            "n_blanks": n_blanks,
            "target_misidentification_rate": target_rate,
            "misidentification_rate": rate,
            "log_odds_threshold": threshold if np.isfinite(threshold) else None,
        }
        self._count_by_field(threshold)
        content = {"schema_version": SCHEMA_VERSION} | summary
        content |= {"curve": _curve(log_odds, is_blank), "fields": self.fields}
        (self._root / QUALITY_NAME).write_text(json.dumps(content, indent=1) + "\n")
        return summary

    def _count_by_field(self, threshold: float) -> None:
        """Add to each field its area and the calls of genes that were kept."""
        calls = zip(self.fields, self._log_odds, self._is_blank, strict=True)
        for index, (field, log_odds, is_blank) in enumerate(calls):
            field["area_um2"] = self._mosaic.area_um2(index)
            field["n_gene_calls"] = int(((log_odds >= threshold) & ~is_blank).sum())

    def _write_transcripts(self, threshold: float) -> None:
        """Copy the candidates of at least the threshold, and remove the rest."""
        path = self._root / CANDIDATES_NAME
        target = self._root / TRANSCRIPTS_NAME
        with (
            pq.ParquetFile(path) as file,
            parquet_writer(target, SCHEMA) as writer,
        ):
            for batch in file.iter_batches():
                is_kept = pa.array(batch["log_odds"].to_numpy() >= threshold)
                writer.write_batch(batch.filter(is_kept).cast(SCHEMA))
        path.unlink()


def _curve(log_odds: NDArray[np.float32], is_blank: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Count calls and blank calls at a number of thresholds, the strictest first."""
    order = np.argsort(-log_odds, kind="stable")
    n_blank = np.cumsum(is_blank[order])
    if not len(order):
        return []
    points = np.unique(np.linspace(0, len(order) - 1, CURVE_POINTS).astype(np.int64))
    return [
        {
            "log_odds": float(log_odds[order[i]]),
            "n_calls": int(i) + 1,
            "n_blank_calls": int(n_blank[i]),
        }
        for i in points
    ]
