"""Writers of simulated raw rounds of MERFISH (as for MERlin) and seqFISH (``rounds.csv``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellsam_core.files.atomic import atomic_path
from cellsam_core.simulation.folders import (
    SEQFISH_PIXEL_SIZE_UM,
    SPATIAL_PIXEL_SIZE_UM,
    write_csv,
    write_json,
    write_tiff,
    write_tissue_truth,
)
from cellsam_core.simulation.rounds import (
    RoundsSpec,
    lit_bits,
    mhd4_codebook,
    seqfish_codebook,
    simulate_rounds,
)
from cellsam_core.simulation.spatial import GENES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.decoding.codebook import Codebook
    from cellsam_core.simulation.rounds import Rounds
    from cellsam_core.simulation.spatial import Tissue

BLANKS = tuple(f"Blank-{i}" for i in range(1, 31))
FIELDS_PER_EDGE = 2
OVERLAP_PX = 24
BITS_PER_ROUND = {"merfish": 2, "seqfish": 4}
IMAGE_PATTERN = r"(?P<imageType>\w+)_(?P<fov>[0-9]+)_(?P<imagingRound>[0-9]+)"
STAGE_UM = (120.0, -45.0)


def write_merfish_rounds(folder: Path, rng: np.random.Generator, tissue: Tissue) -> None:
    """Write a MERlin folder: data organization, codebook, positions, microscope, ``truth/``."""
    book = mhd4_codebook(GENES, BLANKS, rng)
    with atomic_path(folder) as root:
        root.mkdir(parents=True)
        corners = _corners(len(tissue.labels))
        for field, stains, rounds in _fields(rng, tissue, book, "merfish"):
            pages = _pages(rounds, BITS_PER_ROUND["merfish"])
            # Stains are taken with the first round.
            pages[0] = np.concatenate([pages[0], stains])
            for number, page in enumerate(pages):
                write_tiff(root / f"merfish_{field}_{number}.tif", page)
        positions = pd.DataFrame(corners * SPATIAL_PIXEL_SIZE_UM + STAGE_UM)
        write_csv_without_header(root / "positions.csv", positions)
        write_csv(root / "dataorganization.csv", _organization(book, list(tissue.planes)))
        write_json(
            root / "microscope.json",
            {
                "flip_horizontal": False,
                "flip_vertical": False,
                "microns_per_pixel": SPATIAL_PIXEL_SIZE_UM,
                "transpose": False,
            },
        )
        table = pd.DataFrame(book.bits.astype(int), columns=list(book.bit_names))
        table.insert(0, "name", book.names)
        table.insert(1, "id", [f"id{i}" for i in range(len(book.names))])
        write_csv(root / "codebook.csv", table)
        write_tissue_truth(root / "truth", tissue)


def write_seqfish_rounds(folder: Path, rng: np.random.Generator, tissue: Tissue) -> None:
    """Write ``rounds.csv``, a codebook of pseudocolours, images by hybridisation, ``truth/``."""
    book, colours = seqfish_codebook(GENES, BLANKS, rng)
    per_round = BITS_PER_ROUND["seqfish"]
    with atomic_path(folder) as root:
        root.mkdir(parents=True)
        corners = _corners(len(tissue.labels))
        n_rounds = 0
        for field, stains, rounds in _fields(rng, tissue, book, "seqfish"):
            pages = _pages(rounds, per_round)
            n_rounds = len(pages)
            pages[0] = np.concatenate([pages[0], stains])
            for number, page in enumerate(pages):
                (root / f"HybCycle_{number}").mkdir(exist_ok=True)
                write_tiff(root / f"HybCycle_{number}" / f"Pos{field}.tif", page)
        rows = [("bit", n, b // per_round, b % per_round) for b, n in enumerate(book.bit_names)]
        n_last = len(book.bit_names) - (n_rounds - 1) * per_round
        rows += [
            ("fiducial", "", r, per_round if r < n_rounds - 1 else n_last) for r in range(n_rounds)
        ]
        rows += [("stain", name, 0, per_round + 1 + i) for i, name in enumerate(tissue.planes)]
        sheet = pd.DataFrame(rows, columns=["kind", "name", "imaging_round", "page"])
        sheet["file"] = [f"HybCycle_{number}/Pos{{field}}.tif" for number in sheet["imaging_round"]]
        sheet["pixel_size_um"] = SEQFISH_PIXEL_SIZE_UM
        write_csv(root / "rounds.csv", sheet)
        positions = pd.DataFrame(corners * SEQFISH_PIXEL_SIZE_UM, columns=["x_um", "y_um"])
        positions.insert(0, "field", range(len(corners)))
        write_csv(root / "positions.csv", positions)
        names = [f"round_{r + 1}" for r in range(colours.shape[1])]
        table = pd.DataFrame(colours, columns=names)
        table.insert(0, "name", book.names)
        write_csv(root / "codebook.csv", table)
        write_tissue_truth(root / "truth", tissue)


def write_csv_without_header(path: Path, table: pd.DataFrame) -> None:
    """Write a table as MERlin has its positions."""
    table.to_csv(path, index=False, header=False, float_format="%.6f", lineterminator="\n")


def keep_genes(tissue: Tissue) -> Tissue:
    """Leave out the blanks of the section: no molecule carries a blank's codeword."""
    is_gene = tissue.feature < len(GENES)
    columns = ("x_px", "y_px", "z", "feature", "cell_id")
    return tissue._replace(**{name: getattr(tissue, name)[is_gene] for name in columns})


def _field_px(size_px: int) -> int:
    return -(-(size_px + OVERLAP_PX) // FIELDS_PER_EDGE)


def _corners(size_px: int) -> NDArray[np.int64]:
    """Upper left pixel ``(x, y)`` of each field, row by row."""
    start = np.linspace(0, size_px - _field_px(size_px), FIELDS_PER_EDGE).astype(np.int64)
    y, x = np.meshgrid(start, start, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _fields(
    rng: np.random.Generator, tissue: Tissue, book: Codebook, kind: str
) -> Iterator[tuple[int, NDArray[np.uint16], Rounds]]:
    """Photograph field after field: its number, its stains ``(stain, y, x)`` and its rounds."""
    round_of_bit = np.arange(len(book.bit_names)) // BITS_PER_ROUND[kind]
    spec = RoundsSpec()
    peaks = lit_bits(rng, book.bits[tissue.feature], spec)
    size_px = len(tissue.labels)
    side = _field_px(size_px)
    for number, (x0, y0) in enumerate(_corners(size_px)):
        molecules = tissue.y_px - y0, tissue.x_px - x0, peaks
        rounds = simulate_rounds(rng, (side, side), molecules, round_of_bit, spec)
        window = np.s_[y0 : y0 + side, x0 : x0 + side]
        stains = np.stack([planes[len(planes) // 2][window] for planes in tissue.planes.values()])
        yield number, stains, rounds


def _pages(rounds: Rounds, per_round: int) -> list[NDArray[np.uint16]]:
    """Pages of each imaging round's file: its bits, then its fiducials."""
    return [
        np.concatenate([rounds.bits[r * per_round : (r + 1) * per_round], fiducials[None]])
        for r, fiducials in enumerate(rounds.fiducials)
    ]


def _organization(book: Codebook, stains: Sequence[str]) -> pd.DataFrame:
    per_round = BITS_PER_ROUND["merfish"]
    rows = [(n, n, b // per_round, b % per_round) for b, n in enumerate(book.bit_names)]
    rows += [(name, name, 0, per_round + 1 + i) for i, name in enumerate(stains)]
    columns = ["channelName", "readoutName", "imagingRound", "frame"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(
        imageType="merfish",
        imageRegExp=IMAGE_PATTERN,
        bitNumber=np.arange(1, len(rows) + 1),
        zPos=0,
        fiducialImageType="merfish",
        fiducialRegExp=IMAGE_PATTERN,
        fiducialImagingRound=table["imagingRound"],
        fiducialFrame=per_round,
    )
