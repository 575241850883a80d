"""The folder that decoding leaves: stains and transcripts, as an instrument would have written."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import re
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile

from cellsam_core.decoding.calibrate import rate_of_counts, threshold_for_rate
from cellsam_core.decoding.columns import TRANSCRIPTS
from cellsam_core.features import BLANK, GENE
from cellsam_core.files.parquet import parquet_writer
from cellsam_core.samples.panel import MEASURED_COLUMN
from cellsam_core.samples.vendors.merscope import TRANSFORM_NAME
from cellsam_core.version import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from cellsam_core.decoding.codebook import Codebook, WordGroup
    from cellsam_core.decoding.field import Calls
    from cellsam_core.mosaic import Mosaic

log = logging.getLogger(__name__)

CODEBOOK_NAME = "codebook.csv"
BLANKS_AND_GENES = ("n_blank_calls", "n_gene_calls", "n_blanks", "n_genes")
TRANSCRIPTS_NAME = "transcripts.parquet"
QUALITY_NAME = "decode_qc.json"
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

    Memory holds one field and, for the thresholds, eight bytes a candidate.

    Parameters
    ----------
    root
        Empty folder to fill.
    codebook
        Codebook of the sample.
    mosaic
        Places of its fields.
    """

    def __init__(self, root: Path, codebook: Codebook, mosaic: Mosaic) -> None:
        self.fields: list[dict[str, Any]] = []
        self._root, self._codebook, self._mosaic = root, codebook, mosaic
        self._images: dict[str, NDArray[Any]] = {}
        self._log_odds: list[NDArray[np.float32]] = []
        self._codeword: list[NDArray[np.int32]] = []
        self._groups = codebook.by_weight()
        self._group_of_word = np.zeros(len(codebook.names), dtype=np.int8)
        for number, group in enumerate(self._groups):
            self._group_of_word[group.words] = number

    def __enter__(self) -> Self:
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

    def add_stain(self, field: int, name: str, image: NDArray[Any]) -> None:
        """Copy what belongs to a field of one of its stains, ``(y, x)``, into the mosaic."""
        mosaic = self._image(name, image.dtype)
        height, width = image.shape
        owned = self._mosaic.owned_pixels(field)
        y, x = self._mosaic.offset_yx[field]
        window = mosaic[y : y + height, x : x + width]
        window[owned] = image[owned]

    def add_spots(self, field: int, name: str, image: NDArray[Any]) -> None:
        """Brighten the projection of all spots by that of a field, ``(y, x)``."""
        mosaic = self._image(name, image.dtype)
        height, width = image.shape
        y, x = self._mosaic.offset_yx[field]
        window = mosaic[y : y + height, x : x + width]
        np.maximum(window, image, out=window)

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
        """Keep calls that belong to a field; return their number."""
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
        self._codeword.append(calls.codeword)
        return n

    def finish(self, target_rate: float, alignment: dict[str, Any]) -> dict[str, Any]:
        """Write the transcripts that keep the rate, and what the report needs.

        Words of one number of bits have a threshold and a rate of their own: blanks tell nothing
        of words with more or fewer bits.

        Parameters
        ----------
        target_rate
            Rate asked for.
        alignment
            Quality of the alignment of colours and fields, for the report.

        Returns
        -------
        dict
            Numbers of calls and the rate that they have.
        """
        self._candidates.close()
        log_odds, codeword = np.concatenate(self._log_odds), np.concatenate(self._codeword)
        is_blank = self._codebook.is_blank[codeword]
        number = self._group_of_word[codeword]
        groups, thresholds = [], []
        for i, group in enumerate(self._groups):
            here = number == i
            found, threshold = _judge(group, log_odds[here], is_blank[here], target_rate)
            groups.append(found)
            thresholds.append(threshold)
        self._threshold_of_word = np.array(thresholds)[self._group_of_word]
        self._write_transcripts()
        summary = _summary(groups, target_rate)
        self._count_by_field()
        # The curve of the words that blanks measure; of the largest group without any.
        main = _main(groups)
        here = number == groups.index(main)
        curve = _curve(log_odds[here], is_blank[here])
        content = {"schema_version": SCHEMA_VERSION} | summary
        content |= {"curve": curve, **alignment, "coverage": self._coverage()}
        content |= {"fields": self.fields}
        (self._root / QUALITY_NAME).write_text(json.dumps(content, indent=1) + "\n")
        self._write_codebook(groups)
        return summary

    def _count_by_field(self) -> None:
        """Add to each field its area and the calls of genes that were kept."""
        calls = zip(self.fields, self._log_odds, self._codeword, strict=True)
        for index, (field, log_odds, codeword) in enumerate(calls):
            is_kept = log_odds >= self._threshold_of_word[codeword]
            is_gene = ~self._codebook.is_blank[codeword]
            field["area_um2"] = self._mosaic.area_um2(index)
            field["seen_um2"] = self._seen_um2(index, field.pop("seen_px"))
            field["n_gene_calls"] = int((is_kept & is_gene).sum())

    def _seen_um2(self, field: int, seen_px: list[float]) -> float:
        """Return the area of a field's own pixels that every round shows."""
        y0, y1, x0, x1 = seen_px
        owned = self._mosaic.owned_pixels(field)
        rows, columns = (slice(math.ceil(a), math.floor(b) + 1) for a, b in ((y0, y1), (x0, x1)))
        return int(owned[rows, columns].sum()) * self._mosaic.pixel_size_um**2

    def _coverage(self) -> dict[str, float]:
        """Sum up the areas that the fields show, in square micrometres."""
        height, width = self._mosaic.shape_yx
        return {
            "mosaic_um2": height * width * self._mosaic.pixel_size_um**2,
            "fields_um2": sum(field["area_um2"] for field in self.fields),
            "seen_um2": sum(field["seen_um2"] for field in self.fields),
        }

    def _write_transcripts(self) -> None:
        """Copy the candidates of at least their threshold, and remove the rest."""
        path = self._root / CANDIDATES_NAME
        target = self._root / TRANSCRIPTS_NAME
        threshold = dict(zip(self._codebook.names, self._threshold_of_word, strict=True))
        with (
            pq.ParquetFile(path) as file,
            parquet_writer(target, TRANSCRIPTS.described(SCHEMA)) as writer,
        ):
            for batch in file.iter_batches():
                gene = batch["gene"].dictionary_encode()
                least = np.array([threshold[name] for name in gene.dictionary.to_pylist()])
                odds = batch["log_odds"].to_numpy()
                is_kept = odds >= (least[gene.indices.to_numpy()] if len(least) else np.inf)
                writer.write_batch(batch.filter(pa.array(is_kept)).cast(SCHEMA))
        path.unlink()

    def _write_codebook(self, groups: list[dict[str, Any]]) -> None:
        """Name the whole panel, and which genes' errors the blanks measure."""
        book = self._codebook
        is_measured = np.array([group["n_blanks"] > 0 for group in groups])[self._group_of_word]
        with (self._root / CODEBOOK_NAME).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["name", "feature_type", "n_bits", MEASURED_COLUMN])
            for name, blank, n_bits, measured in zip(
                book.names, book.is_blank, book.weight, is_measured, strict=True
            ):
                writer.writerow([name, BLANK if blank else GENE, int(n_bits), int(measured)])


def _judge(
    group: WordGroup,
    log_odds: NDArray[np.float32],
    is_blank: NDArray[np.bool_],
    target_rate: float,
) -> tuple[dict[str, Any], float]:
    """Find the threshold of a group of words, and what it gives."""
    n_blanks = int(group.codebook.is_blank.sum())
    n_genes = len(group.words) - n_blanks
    threshold = threshold_for_rate(log_odds, is_blank, n_blanks, n_genes, target_rate)
    kept = log_odds >= threshold
    n_blank_calls, n_gene_calls = int((kept & is_blank).sum()), int((kept & ~is_blank).sum())
    rate = None
    if n_blanks and n_gene_calls:
        rate = float(rate_of_counts(n_blank_calls, n_gene_calls, n_blanks, n_genes))
    found = {
        "n_bits": group.weight,
        "n_gene_calls": n_gene_calls,
        "n_blank_calls": n_blank_calls,
        "n_genes": n_genes,
        "n_blanks": n_blanks,
        "misidentification_rate": rate,
        "log_odds_threshold": threshold if np.isfinite(threshold) else None,
    }
    return found, threshold


def _summary(groups: list[dict[str, Any]], target_rate: float) -> dict[str, Any]:
    """Sum up the groups; the rate is that of the words that blanks measure."""
    measured = [group for group in groups if group["n_blanks"]]
    for group in groups:
        if measured and not group["n_blanks"]:
            log.warning(
                "the error rate of %d words with %d lit %s is not measured: no blank has so many",
                group["n_genes"],
                group["n_bits"],
                "bit" if group["n_bits"] == 1 else "bits",
            )
    counts = ("n_gene_calls", "n_blank_calls", "n_genes", "n_blanks")
    total = {key: sum(group[key] for group in groups) for key in counts}
    of_measured = {key: sum(group[key] for group in measured) for key in counts}
    rate = None
    if of_measured["n_gene_calls"]:
        rate = float(rate_of_counts(*(of_measured[key] for key in BLANKS_AND_GENES)))
    main = _main(groups)
    return total | {
        "target_misidentification_rate": target_rate,
        "misidentification_rate": rate,
        "log_odds_threshold": main["log_odds_threshold"],
        "n_measured_genes": of_measured["n_genes"],
        "words": groups,
    }


def _main(groups: list[dict[str, Any]]) -> dict[str, Any]:
    return max(groups, key=lambda group: (group["n_blanks"] > 0, group["n_genes"]))


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
