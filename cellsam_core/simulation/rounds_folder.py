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
    MARGIN_PX,
    RoundsSpec,
    draw_optics,
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
    from cellsam_core.simulation.options import RawRoundsOptions
    from cellsam_core.simulation.rounds import Rounds
    from cellsam_core.simulation.spatial import Tissue

FOCUS_PLANES = 0.6
"""Standard deviation of the brightness of a molecule along z, in planes."""

BLANKS = tuple(f"Blank-{i}" for i in range(1, 31))
BITS_PER_ROUND = {"merfish": 2, "seqfish": 4}
COLOURS = ("750", "650", "560", "488")
REACH_PX = 32  # beyond the margin: drift that brings molecules into view
IMAGE_PATTERN = r"(?P<imageType>\w+)_(?P<fov>[0-9]+)_(?P<imagingRound>[0-9]+)"
STAGE_UM = (120.0, -45.0)


def write_merfish_rounds(
    folder: Path, rng: np.random.Generator, tissue: Tissue, options: RawRoundsOptions
) -> None:
    """Write a MERlin folder: data organization, codebook, positions, microscope, ``truth/``."""
    book = mhd4_codebook(GENES, BLANKS, rng)
    with atomic_path(folder) as root:
        root.mkdir(parents=True)
        corners = _corners(len(tissue.labels), options)
        for field, stains, rounds in _fields(rng, tissue, book, "merfish", options):
            pages = _pages(rounds, BITS_PER_ROUND["merfish"])
            # Stains are taken with the first round.
            pages[0] = np.concatenate([pages[0], stains])
            for number, page in enumerate(pages):
                write_tiff(root / f"merfish_{field}_{number}.tif", page)
        said = corners + _position_errors(rng, len(corners), options)
        positions = pd.DataFrame(said * SPATIAL_PIXEL_SIZE_UM + STAGE_UM)
        write_csv_without_header(root / "positions.csv", positions)
        n_planes = _n_planes(tissue, options)
        organization = _organization(book, list(tissue.planes), n_planes)
        write_csv(root / "dataorganization.csv", organization)
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
        _write_truth(root / "truth", tissue, corners)


def write_seqfish_rounds(
    folder: Path, rng: np.random.Generator, tissue: Tissue, options: RawRoundsOptions
) -> None:
    """Write ``rounds.csv``, a codebook of pseudocolours, images by hybridisation, ``truth/``."""
    book, colours = seqfish_codebook(GENES, BLANKS, rng)
    per_round = BITS_PER_ROUND["seqfish"]
    with atomic_path(folder) as root:
        root.mkdir(parents=True)
        corners = _corners(len(tissue.labels), options)
        n_rounds = 0
        for field, stains, rounds in _fields(rng, tissue, book, "seqfish", options):
            pages = _pages(rounds, per_round)
            n_rounds = len(pages)
            pages[0] = np.concatenate([pages[0], stains])
            for number, page in enumerate(pages):
                (root / f"HybCycle_{number}").mkdir(exist_ok=True)
                write_tiff(root / f"HybCycle_{number}" / f"Pos{field}.tif", page)
        write_csv(root / "rounds.csv", _sheet(tissue, book, n_rounds, _n_planes(tissue, options)))
        said = corners + _position_errors(rng, len(corners), options)
        positions = pd.DataFrame(said * SEQFISH_PIXEL_SIZE_UM, columns=["x_um", "y_um"])
        positions.insert(0, "field", range(len(corners)))
        write_csv(root / "positions.csv", positions)
        names = [f"round_{r + 1}" for r in range(colours.shape[1])]
        table = pd.DataFrame(colours, columns=names)
        table.insert(0, "name", book.names)
        write_csv(root / "codebook.csv", table)
        _write_truth(root / "truth", tissue, corners)


def _sheet(tissue: Tissue, book: Codebook, n_rounds: int, n_planes: int) -> pd.DataFrame:
    """Make the sheet ``rounds.csv``."""
    per_round = BITS_PER_ROUND["seqfish"]
    rows: list[tuple[str, str, int, int, int, str]] = []
    for b, name in enumerate(book.bit_names):
        first, colour = b % per_round * n_planes, COLOURS[b % per_round]
        rows += [("bit", name, b // per_round, first + z, z, colour) for z in range(n_planes)]
    n_last = len(book.bit_names) - (n_rounds - 1) * per_round
    n_bits = [per_round] * (n_rounds - 1) + [n_last]
    rows += [("fiducial", "", r, n * n_planes, 0, "") for r, n in enumerate(n_bits)]
    first = per_round * n_planes + 1
    rows += [("stain", name, 0, first + i, 0, "") for i, name in enumerate(tissue.planes)]
    sheet = pd.DataFrame(rows, columns=["kind", "name", "imaging_round", "page", "z", "colour"])
    sheet["file"] = [f"HybCycle_{number}/Pos{{field}}.tif" for number in sheet["imaging_round"]]
    sheet["pixel_size_um"] = SEQFISH_PIXEL_SIZE_UM
    return sheet


def _write_truth(truth: Path, tissue: Tissue, corners: NDArray[np.int64]) -> None:
    """Write the truth of the section, and the pixel at which each field begins."""
    write_tissue_truth(truth, tissue)
    table = pd.DataFrame(corners, columns=["x_px", "y_px"])
    table.insert(0, "field", range(len(corners)))
    write_csv(truth / "fields.csv", table)


def write_csv_without_header(path: Path, table: pd.DataFrame) -> None:
    """Write a table as MERlin has its positions."""
    table.to_csv(path, index=False, header=False, float_format="%.6f", lineterminator="\n")


def keep_genes(tissue: Tissue) -> Tissue:
    """Leave out the blanks of the section: no molecule carries a blank's codeword."""
    is_gene = tissue.feature < len(GENES)
    columns = ("x_px", "y_px", "z", "feature", "cell_id")
    return tissue._replace(**{name: getattr(tissue, name)[is_gene] for name in columns})


def _field_px(size_px: int, options: RawRoundsOptions) -> int:
    n = options.fields_per_edge
    return -(-(size_px + (n - 1) * options.overlap_px) // n)


def _corners(size_px: int, options: RawRoundsOptions) -> NDArray[np.int64]:
    """Upper left pixel ``(x, y)`` of each field, row by row."""
    last = size_px - _field_px(size_px, options)
    start = np.linspace(0, last, options.fields_per_edge).astype(np.int64)
    y, x = np.meshgrid(start, start, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _position_errors(
    rng: np.random.Generator, n_fields: int, options: RawRoundsOptions
) -> NDArray[np.float64]:
    """Draw how far the written positions are off, ``(fields, 2)`` as x, y in pixels."""
    most = options.position_error_px
    return rng.uniform(-most, most, size=(n_fields, 2)) if most else np.zeros((n_fields, 2))


def _n_planes(tissue: Tissue, options: RawRoundsOptions) -> int:
    """Count the planes of each bit."""
    return len(next(iter(tissue.planes.values()))) if options.resolve_z else 1


def _focus(tissue: Tissue, options: RawRoundsOptions) -> NDArray[np.float64] | None:
    """Brightness of each molecule in each plane, ``(planes, molecules)``; None for one plane."""
    if not options.resolve_z:
        return None
    away = np.arange(_n_planes(tissue, options))[:, None] - tissue.z
    share: NDArray[np.float64] = np.exp(-0.5 * (away / FOCUS_PLANES) ** 2)
    return share


def _fields(
    rng: np.random.Generator, tissue: Tissue, book: Codebook, kind: str, options: RawRoundsOptions
) -> Iterator[tuple[int, NDArray[np.uint16], Rounds]]:
    """Photograph field after field: its number, its stains ``(stain, y, x)`` and its rounds."""
    bits = np.arange(len(book.bit_names))
    round_of_bit, colour_of_bit = np.divmod(bits, BITS_PER_ROUND[kind])
    spec = RoundsSpec()
    peaks = lit_bits(rng, book.bits[tissue.feature], spec)
    side = _field_px(len(tissue.labels), options)
    optics = draw_optics(rng, colour_of_bit, (side, side), options.colour_shift_px)
    focus = _focus(tissue, options)
    beyond = MARGIN_PX + options.colour_shift_px
    for number, (x0, y0) in enumerate(_corners(len(tissue.labels), options)):
        y, x = tissue.y_px - y0, tissue.x_px - x0
        near = np.flatnonzero(
            (np.abs(y - side / 2) < side / 2 + beyond + REACH_PX)
            & (np.abs(x - side / 2) < side / 2 + beyond + REACH_PX)
        )
        rounds = simulate_rounds(
            rng,
            (side, side),
            (y[near], x[near], peaks[near]),
            round_of_bit,
            spec,
            optics,
            None if focus is None else focus[:, near],
        )
        window = np.s_[y0 : y0 + side, x0 : x0 + side]
        stains = np.stack([planes[len(planes) // 2][window] for planes in tissue.planes.values()])
        yield number, stains, rounds


def _pages(rounds: Rounds, per_round: int) -> list[NDArray[np.uint16]]:
    """Pages of each imaging round's file: its bits, then its fiducials."""
    return [
        np.concatenate([_of_round(rounds, r, per_round), fiducials[None]])
        for r, fiducials in enumerate(rounds.fiducials)
    ]


def _of_round(rounds: Rounds, number: int, per_round: int) -> NDArray[np.uint16]:
    """Planes of the bits of a round, bit by bit."""
    bits = rounds.planes[:, number * per_round : (number + 1) * per_round]
    return bits.swapaxes(0, 1).reshape(-1, *bits.shape[2:])


def _organization(book: Codebook, stains: Sequence[str], n_planes: int) -> pd.DataFrame:
    per_round = BITS_PER_ROUND["merfish"]

    def frames(first: int) -> int | str:
        planes = range(first, first + n_planes)
        return first if n_planes == 1 else f"[{' '.join(map(str, planes))}]"

    rows = [
        (n, n, b // per_round, frames(b % per_round * n_planes), COLOURS[b % per_round])
        for b, n in enumerate(book.bit_names)
    ]
    fiducial = per_round * n_planes
    rows += [(name, name, 0, fiducial + 1 + i, "") for i, name in enumerate(stains)]
    columns = ["channelName", "readoutName", "imagingRound", "frame", "color"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(
        imageType="merfish",
        imageRegExp=IMAGE_PATTERN,
        bitNumber=np.arange(1, len(rows) + 1),
        zPos=0 if n_planes == 1 else f"[{' '.join(map(str, range(n_planes)))}]",
        fiducialImageType="merfish",
        fiducialRegExp=IMAGE_PATTERN,
        fiducialImagingRound=table["imagingRound"],
        fiducialFrame=fiducial,
    )
