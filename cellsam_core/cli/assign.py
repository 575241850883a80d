"""``cellsam-core assign``: transcripts and cells to counts, polygons and quality figures."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import scipy.sparse

    from cellsam_core.assign import FeatureIndex
    from cellsam_core.io.cells import Cells, LabelImage
    from cellsam_core.io.manifest import TranscriptSource

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    cells = parser.add_mutually_exclusive_group(required=True)
    cells.add_argument(
        "--labels", type=Path, metavar="TIF|ZARR", help="label image of the cells, 0 = background"
    )
    cells.add_argument(
        "--polygons",
        type=Path,
        metavar="PARQUET|CSV",
        help="cell polygons in um, per z plane where they have ZIndex; or Xenium's vertices",
    )
    transcripts = parser.add_mutually_exclusive_group(required=True)
    transcripts.add_argument(
        "--manifest", type=Path, metavar="JSON", help="0_manifest.json of the sample"
    )
    transcripts.add_argument(
        "--transcripts",
        type=Path,
        metavar="CSV|PARQUET",
        help="table with gene and x_um, y_um or x_px, y_px",
    )
    parser.add_argument(
        "--pixel-size-um",
        type=float,
        metavar="F",
        help="side of a pixel in um, for --transcripts",
    )
    parser.add_argument(
        "--cells",
        type=Path,
        metavar="PARQUET",
        help="cells.parquet of the segmentation; without it scores are unknown",
    )
    parser.add_argument(
        "--expand-um",
        type=float,
        default=0.0,
        metavar="F",
        help="grow the cells of --labels into the background by this much, um; for nuclei",
    )
    parser.add_argument("--sample", default="sample", help="goes into the names of the cells")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder, e.g. 3_cells")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.io.anndata import cell_anndata, write_h5ad
    from cellsam_core.io.atomic import atomic_path
    from cellsam_core.io.boundaries import write_boundaries

    source, cells = _open(args)
    log.info("assigning %d transcripts to %d cells", source.n_rows, len(cells.table))
    # Outlines tell whether cells and labels belong together: before them nothing may appear.
    with atomic_path(args.output / "transcripts.parquet") as transcripts:
        features, counts, quality = _assign(source, cells, transcripts)
        table = cell_anndata(args.sample, cells.table, features, counts)
        write_boundaries(args.output / "boundaries.parquet", cells.outlines())
    write_h5ad(args.output / "cells.h5ad", table)
    _write_json(args.output / "assign_qc.json", {"sample": args.sample} | quality)
    log.info(
        "%d of %d transcripts in %d cells",
        quality["n_assigned"],
        quality["n_transcripts"],
        quality["n_cells"],
    )


def _open(args: argparse.Namespace) -> tuple[TranscriptSource, Cells]:
    """Open what the options name and test that it fits together."""
    import numpy as np

    from cellsam_core.io import cells as io_cells
    from cellsam_core.io.placement import place_in_um

    if args.pixel_size_um is not None and not 0 < args.pixel_size_um < np.inf:
        raise InputError(
            "--pixel-size-um",
            found=str(args.pixel_size_um),
            expected="a length above 0 um",
            remedy="correct the option",
        )
    if not 0 <= args.expand_um < np.inf or (args.expand_um and args.labels is None):
        raise InputError(
            "--expand-um",
            found=str(args.expand_um) + ("" if args.labels else " beside --polygons"),
            expected="a length from 0 um, for --labels",
            remedy="correct the option or leave it out",
        )
    _refuse(args, "pixel_size_um", "manifest", "which has the pixel size")
    _refuse(args, "cells", "polygons", "which are the cells")
    if args.polygons is not None:
        source = (
            place_in_um(args.transcripts, args.pixel_size_um)
            if args.transcripts is not None
            else _from_manifest(args.manifest, None)
        )
        return source, io_cells.open_polygon_cells(args.polygons)
    image = io_cells.open_label_image(args.labels)
    source = (
        _place(args, image)
        if args.transcripts is not None
        else _from_manifest(args.manifest, image.tiles.shape_yx)
    )
    um_to_px = np.array(source.um_to_px)
    return source, io_cells.open_label_cells(image, um_to_px, args.cells, args.expand_um)


def _refuse(args: argparse.Namespace, option: str, other: str, why: str) -> None:
    """Refuse an option that would have no effect."""
    if getattr(args, option) is not None and getattr(args, other) is not None:
        raise InputError(
            f"--{option.replace('_', '-')}",
            found=f"the option beside --{other}, {why}",
            expected="one of the two",
            remedy="leave one out",
        )


def _place(args: argparse.Namespace, image: LabelImage) -> TranscriptSource:
    from cellsam_core.io.placement import place_transcripts

    source, warnings = place_transcripts(
        args.transcripts,
        shape_yx=image.tiles.shape_yx,
        pixel_size_um=args.pixel_size_um or image.pixel_size_um,
    )
    for warning in warnings:
        log.warning(warning)
    return source


def _from_manifest(path: Path, shape_yx: tuple[int, int] | None) -> TranscriptSource:
    from cellsam_core.io.manifest import Manifest

    manifest = Manifest.load(path)
    if manifest.transcripts is None:
        raise InputError(
            path,
            found=f"a sample of assay {manifest.assay} without transcripts",
            expected="a merfish or seqfish sample",
            remedy="correct assay in the sample sheet",
        )
    if shape_yx is not None and shape_yx != manifest.shape_yx:
        raise InputError(
            path,
            found=f"an image of {manifest.shape_yx[1]} x {manifest.shape_yx[0]} px",
            expected=f"the {shape_yx[1]} x {shape_yx[0]} px of the labels",
            remedy="give the labels of this sample",
        )
    return manifest.transcripts


def _assign(
    source: TranscriptSource, cells: Cells, path: Path
) -> tuple[pd.DataFrame, scipy.sparse.csr_matrix, dict[str, Any]]:
    """Stream the transcripts once: each gets its owner, is written and counted.

    Returns
    -------
    features, counts, quality
        Features sorted by name; ``(cells, features)`` counts; figures for the report.
    """
    import numpy as np
    import pandas as pd

    from cellsam_core.assign import CountTable, FeatureIndex, assignment_quality
    from cellsam_core.io.tables import parquet_writer
    from cellsam_core.io.transcripts import iter_transcripts

    index, table = FeatureIndex(), CountTable()
    n_outside = n_contested = n_done = 0
    repeated = ["feature", "feature_type", "cell_id"]  # no coordinate is worth a dictionary
    with parquet_writer(path, _schema(source), dictionaries=repeated) as writer:
        for batch in iter_transcripts(source):
            owners = cells.owners(batch)
            feature = _number_features(source, index, batch)
            table.add(owners.cell_id, feature)
            writer.write_batch(_output_batch(source, batch, feature, index, owners.cell_id))
            n_outside += owners.n_outside
            n_contested += owners.n_contested
            n_done += batch.num_rows
            log.info("%d of %d transcripts", n_done, source.n_rows)
        cell_id = cells.table["cell_id"].to_numpy()
        unknown = np.setdiff1d(table.cell_id, cell_id)
        if len(unknown):
            raise InputError(
                "--cells",
                found=f"no cell {unknown[0]}, which the labels have",
                expected="every label in the cell table",
                remedy="give the cell table that was written with these labels",
            )
    if n_done != source.n_rows:
        raise InputError(
            source.path,
            found=f"{n_done} transcripts",
            expected=f"{source.n_rows}, as when the sample was inspected",
            remedy="run `cellsam-core inspect` again, the table has changed since",
        )
    features = pd.DataFrame(
        {"name": index.names, "feature_type": index.types, "n_transcripts": index.counts}
    )
    order = features["name"].argsort(kind="stable").to_numpy()
    counts = table.matrix(cell_id, len(features))[:, order]
    counts.sort_indices()
    features = features.iloc[order].reset_index(drop=True)
    return features, counts, assignment_quality(features, counts, n_outside, n_contested)


def _schema(source: TranscriptSource) -> pa.Schema:
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    columns = dict.fromkeys(("x_um", "y_um", "z"), pa.float64())
    columns |= {"feature": text, "feature_type": text, "cell_id": pa.uint32()}
    if source.cell:
        columns["vendor_cell_id"] = text
    return pa.schema(columns)


def _number_features(
    source: TranscriptSource, index: FeatureIndex, batch: pa.RecordBatch
) -> np.ndarray[Any, Any]:
    """Look up the features' numbers; the table's own feature types win over names."""
    import numpy as np

    feature = batch["feature"]
    codes, names = feature.indices.to_numpy(), feature.dictionary.to_pylist()
    if "feature_type" not in batch.schema.names:
        return index.add(codes, names, [None] * len(names))
    kind = batch["feature_type"]
    kinds = kind.dictionary.to_pylist()
    both = codes.astype(np.int64) * len(kinds) + kind.indices.to_numpy()
    pairs, codes = np.unique(both, return_inverse=True)
    pair_names = [names[pair // len(kinds)] for pair in pairs]
    try:
        return index.add(codes, pair_names, [kinds[pair % len(kinds)] for pair in pairs])
    except ValueError as error:
        raise InputError(
            source.path,
            found=f"feature {error}",
            expected="one feature_type for a feature",
            remedy="correct the column feature_type",
        ) from error


def _output_batch(
    source: TranscriptSource,
    batch: pa.RecordBatch,
    feature: np.ndarray[Any, Any],
    index: FeatureIndex,
    cell_id: np.ndarray[Any, Any],
) -> pa.RecordBatch:
    import numpy as np
    import pyarrow as pa

    kinds = sorted(set(index.types))
    kind_of = np.array([kinds.index(kind) for kind in index.types], dtype=np.int32)
    text = pa.DictionaryArray.from_arrays
    arrays = [
        *(batch[name] for name in ("x_um", "y_um", "z")),
        text(pa.array(feature), pa.array(index.names, pa.string())),
        text(pa.array(kind_of[feature]), pa.array(kinds, pa.string())),
        pa.array(cell_id),
    ]
    arrays += [batch["vendor_cell_id"]] if source.cell else []
    return pa.RecordBatch.from_arrays(arrays, schema=_schema(source))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    from cellsam_core import SCHEMA_VERSION
    from cellsam_core.io.atomic import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps({"schema_version": SCHEMA_VERSION} | content, indent=1) + "\n"
        )
