"""Options of simulated movies and tissues."""

from __future__ import annotations

from typing import Literal

from cellsam_core.options import Options, option, options


@options
class SeedOptions(Options):
    """Option that every simulation has."""

    seed: int = option(
        0, "Seed of the random numbers; the same seed gives the same bytes.", minimum=0
    )


@options
class MovieOptions(Options):
    """Options of a simulated live-cell movie."""

    size_px: int = option(256, "Edge of the square image, in pixels.", minimum=32)
    cells: int = option(
        20, "Number of cells in the first frame; fewer if they find no room.", minimum=0
    )
    frames: int = option(12, "Number of frames.", minimum=1)
    drug_frame: int = option(4, "Frame (0-based) just before which the drug is added.", minimum=0)
    division: Literal["mitosis", "budding", "none"] = option(
        "mitosis", "Way in which the cells multiply."
    )
    cycle_frames: int = option(18, "Mean number of frames between divisions of a cell.", minimum=3)
    diameter_px: float = option(
        36.0, "Mean diameter of a cell about to divide, in pixels.", minimum=8
    )


@options
class TissueOptions(Options):
    """Options of a simulated tissue section."""

    size_px: int = option(512, "Edge of the square image, in pixels.", minimum=32)
    cells: int = option(80, "Number of cells, approximately.", minimum=0)
    transcripts: int | None = option(
        None,
        "Number of transcripts, blanks included; 6000, or 2500 with raw rounds, where it is not"
        " given.",
        minimum=0,
    )
    z_planes: int = option(3, "Number of optical planes.", minimum=1)


@options
class RawRoundsOptions(Options):
    """Options of simulated raw rounds of a tissue section."""

    fields_per_edge: int = option(
        2, "Raw rounds: number of fields of view along each edge of the section.", minimum=1
    )
    overlap_px: int = option(
        24, "Raw rounds: overlap of neighbouring fields of view, in pixels.", minimum=0
    )
    colour_shift_px: float = option(
        0.0,
        "Raw rounds: largest distance between the colours of the bits, at a corner of a field, in"
        " pixels.",
        minimum=0,
        maximum=10,
    )
    position_error_px: float = option(
        0.0,
        "Raw rounds: largest error of the positions that are written, along each axis, in pixels.",
        minimum=0,
    )
    resolve_z: bool = option(
        False,
        "Raw rounds: `true` images each bit in every optical plane, `false` in one that"
        " shows all molecules.",
    )


@options
class LeakOptions(Options):
    """Options of simulated nuclei and transcripts with a known leak."""

    cells: int = option(500, "Number of cells.", minimum=1)
    pitch_um: float = option(15.0, "Mean distance between cells, in micrometres.", minimum=10)
    pattern: Literal["scattered", "domains"] = option(
        "scattered", "Arrangement of the types: at random, or most cells of a domain alike."
    )
    types: int = option(6, "Number of cell types.", minimum=1)
    genes: int = option(300, "Number of genes.", minimum=1)
    transcripts_per_cell: float = option(100.0, "Mean number of transcripts of a cell.", above=0)
    displaced_share: float = option(
        0.3, "Share of the transcripts that is displaced.", minimum=0, maximum=1
    )
    displacement_um: float = option(
        2.0, "Standard deviation of a displacement along each axis, in micrometres.", minimum=0
    )
    ambient_share: float = option(
        0.05, "Share of ambient transcripts among all.", minimum=0, maximum=0.9
    )
