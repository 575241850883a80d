"""Simulated experiments with the whole truth, in memory or as folders of an instrument."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.options import options_of, refuse_no_path
from cellsam_core.simulation.folders import (
    MOVIE_PIXEL_SIZE_UM,
    SEQFISH_PIXEL_SIZE_UM,
    SPATIAL_PIXEL_SIZE_UM,
    write_merscope,
    write_movie,
    write_seqfish,
)
from cellsam_core.simulation.movie import CHANNELS, iter_frames
from cellsam_core.simulation.options import (
    MovieOptions,
    RawRoundsOptions,
    SeedOptions,
    TissueOptions,
)
from cellsam_core.simulation.rounds_folder import (
    keep_genes,
    write_merfish_rounds,
    write_seqfish_rounds,
)
from cellsam_core.simulation.spatial import draw_tissue
from cellsam_core.simulation.truth import (
    MOVIE_FRAME_INTERVAL_S,
    MovieTruth,
    cells_table,
    counts_table,
    transcripts_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from cellsam_core.simulation.movie import Frame
    from cellsam_core.simulation.spatial import Tissue

Kind = Literal["merfish", "seqfish"]

MOVIE, TISSUE = MovieOptions(), TissueOptions()
"""Options where none are given."""

STAINS = {"merfish": ("DAPI", "PolyT"), "seqfish": ("DAPI", "membrane")}
N_TRANSCRIPTS_RAW = 2500
"""Transcripts of a section with raw rounds where no number is given."""


class _Stacks(NamedTuple):
    """Frames of a movie, held in memory, and their truth."""

    images: NDArray[np.uint16]
    labels: NDArray[np.int32]
    nucleus_labels: NDArray[np.int32]
    truth: MovieTruth


@dataclass(frozen=True)
class SimulatedMovie:
    """Simulated live-cell movie: a nuclear marker, a ratiometric reporter and the whole truth.

    Frames are drawn when they are first used, so a movie that is only written to a folder is
    never held in memory.

    Attributes
    ----------
    seed
        Seed of the random numbers.
    options
        Options that the movie is simulated with.
    channels
        Names of the channels, in the order of :attr:`images`.
    pixel_size_um
        Edge of a pixel, in micrometres.
    frame_interval_s
        Time between two frames, in seconds.
    """

    seed: int = 0
    options: MovieOptions = MOVIE
    channels: ClassVar[tuple[str, ...]] = CHANNELS
    pixel_size_um: ClassVar[float] = MOVIE_PIXEL_SIZE_UM
    frame_interval_s: ClassVar[float] = MOVIE_FRAME_INTERVAL_S

    def frames(self) -> Iterator[Frame]:
        """Draw the frames one by one; every call draws the same ones."""
        return iter_frames(np.random.default_rng(self.seed), self.options)

    @cached_property
    def _stacks(self) -> _Stacks:
        truth, images, labels, nuclei = MovieTruth(), [], [], []
        for frame in self.frames():
            truth.add(frame)
            images.append([frame.images[channel] for channel in CHANNELS])
            labels.append(frame.labels)
            nuclei.append(frame.nucleus_labels)
        return _Stacks(np.array(images), np.array(labels), np.array(nuclei), truth)

    @property
    def images(self) -> NDArray[np.uint16]:
        """Images ``(t, c, y, x)``, uint16, in camera counts."""
        return self._stacks.images

    @property
    def labels(self) -> NDArray[np.int32]:
        """True label images ``(t, y, x)``, int32; the value is the id of the track."""
        return self._stacks.labels

    @property
    def nucleus_labels(self) -> NDArray[np.int32]:
        """True label images of the nuclei ``(t, y, x)``, int32, with the ids of their cells."""
        return self._stacks.nucleus_labels

    @property
    def tracks(self) -> pd.DataFrame:
        """True tracks: track_id, first_frame, last_frame, parent_id (0 = none, or a bud)."""
        return self._stacks.truth.tracks()

    @property
    def divisions(self) -> pd.DataFrame:
        """True births: event_id, kind (mitosis, bud), frame, parent_id, daughter_ids (``a;b``)."""
        return self._stacks.truth.divisions()

    @property
    def traces(self) -> pd.DataFrame:
        """True reporter ratios: track_id, frame, time_s, ratio, expression, area_px."""
        return self._stacks.truth.traces()

    def write(self, folder: str | Path) -> Path:
        """Write ``images/<channel>/tNNN.tif`` and ``truth/``, as a microscope could have left them.

        Parameters
        ----------
        folder
            Folder to write; an earlier simulation there is replaced whole.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        InputError
            The folder exists and is no simulation, or can't be written.
        """
        target = _refuse_data(folder)
        write_movie(target, self.frames(), self.options)
        return target


@dataclass(frozen=True, eq=False)
class SimulatedTissue:
    """Simulated tissue section: stains, transcripts and the cell of every transcript.

    Attributes
    ----------
    kind
        ``merfish`` or ``seqfish``.
    raw_rounds
        Options of the raw rounds of imaging that :meth:`write` writes, with a codebook, instead of
        transcripts; None if it writes transcripts.
    pixel_size_um
        Edge of a pixel, in micrometres.
    """

    kind: Kind
    raw_rounds: RawRoundsOptions | None
    pixel_size_um: float
    _tissue: Tissue = field(repr=False)
    _rng: np.random.Generator = field(repr=False)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the stains, in the order of :attr:`image`."""
        return tuple(self._tissue.planes)

    @property
    def stains(self) -> dict[str, NDArray[np.uint16]]:
        """Optical planes ``(z, y, x)`` of each stain, uint16, in camera counts."""
        return self._tissue.planes

    @property
    def image(self) -> NDArray[np.uint16]:
        """Middle, sharpest plane of each stain ``(c, y, x)``, uint16."""
        return np.stack([planes[len(planes) // 2] for planes in self._tissue.planes.values()])

    @property
    def labels(self) -> NDArray[np.int32]:
        """True label image ``(y, x)``, int32, 0 = background."""
        return self._tissue.labels

    @property
    def nucleus_labels(self) -> NDArray[np.int32]:
        """True label image of the nuclei ``(y, x)``, int32, with the ids of their cells."""
        return self._tissue.nucleus_labels

    @property
    def transcripts(self) -> pd.DataFrame:
        """Transcripts as an instrument measures them: x_px, y_px, gene, z."""
        return transcripts_table(self._tissue)[["x_px", "y_px", "gene", "z"]]

    @property
    def true_cell_ids(self) -> NDArray[np.int32]:
        """True cell of each row of :attr:`transcripts`, int32, 0 = none."""
        return self._tissue.cell_id

    @property
    def cells(self) -> pd.DataFrame:
        """True cells: cell_id, cell_type, has_nucleus."""
        return cells_table(self._tissue)

    @property
    def counts(self) -> pd.DataFrame:
        """True transcripts of each cell: cell_id, then one column a feature."""
        return counts_table(self._tissue)

    def write(self, folder: str | Path) -> Path:
        """Write the folder that an instrument could have left, with ``truth/`` in it.

        MERFISH gives a MERSCOPE region folder, seqFISH a generic one; with `raw_rounds`, MERFISH
        gives a folder as for MERlin, seqFISH one with a ``rounds.csv``.

        Parameters
        ----------
        folder
            Folder to write; an earlier simulation there is replaced whole.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        InputError
            The folder exists and is no simulation, or can't be written.
        """
        target = _refuse_data(folder)
        if self.raw_rounds is not None:
            write_rounds = write_merfish_rounds if self.kind == "merfish" else write_seqfish_rounds
            # A copy, so that a second call draws the same rounds.
            write_rounds(target, copy.deepcopy(self._rng), self._tissue, self.raw_rounds)
        else:
            write = write_merscope if self.kind == "merfish" else write_seqfish
            write(target, self._tissue)
        return target


def simulate_movie(
    output: str | Path | None = None, *, seed: int = 0, options: MovieOptions = MOVIE
) -> SimulatedMovie:
    """Simulate a live-cell movie with a nuclear marker and a ratiometric reporter.

    Cells move, grow and divide, and answer to a drug; those that leave the view never come back.

    Parameters
    ----------
    output
        Folder to write, see :meth:`SimulatedMovie.write`; without it no file is written.
    seed
        Seed of the random numbers; the same seed gives the same movie.
    options
        Options of the movie.

    Returns
    -------
    SimulatedMovie
        Images, labels and truth.

    Raises
    ------
    InputError
        The seed is negative, or `output` exists and is no simulation.

    Examples
    --------
    >>> import cellsam_core as cc
    >>> small = cc.MovieOptions(frames=2, size_px=64, cells=3, diameter_px=20)
    >>> movie = cc.simulate_movie(seed=1, options=small)
    >>> movie.images.shape, movie.channels
    ((2, 3, 64, 64), ('H2B', 'AMPKAR_480', 'AMPKAR_405'))
    >>> movie.labels.shape
    (2, 64, 64)
    """
    refuse_no_path(output)
    movie = SimulatedMovie(SeedOptions(seed=seed).seed, options_of(MovieOptions, options))
    if output is not None:
        movie.write(output)
    return movie


def simulate_tissue(
    output: str | Path | None = None,
    *,
    kind: Kind = "merfish",
    seed: int = 0,
    options: TissueOptions = TISSUE,
    raw_rounds: bool | RawRoundsOptions = False,
) -> SimulatedTissue:
    """Simulate a tissue section with stains, transcripts and the cell of every transcript.

    Parameters
    ----------
    output
        Folder to write, see :meth:`SimulatedTissue.write`; without it no file is written.
    kind
        ``merfish``, with the stains DAPI and PolyT, or ``seqfish``, with DAPI and membrane.
    seed
        Seed of the random numbers; the same seed gives the same section.
    options
        Options of the section.
    raw_rounds
        True, or their options, writes raw rounds of imaging and a codebook instead of transcripts.

    Returns
    -------
    SimulatedTissue
        Stains, labels, transcripts and truth.

    Raises
    ------
    InputError
        `kind` is none of the two, the seed is negative, or `output` exists and is no simulation.

    Examples
    --------
    >>> import cellsam_core as cc
    >>> small = cc.TissueOptions(size_px=96, cells=6, transcripts=200, z_planes=1)
    >>> tissue = cc.simulate_tissue(seed=1, options=small)
    >>> tissue.image.shape, tissue.channels
    ((2, 96, 96), ('DAPI', 'PolyT'))
    >>> list(tissue.transcripts.columns), len(tissue.transcripts)
    (['x_px', 'y_px', 'gene', 'z'], 200)
    """
    refuse_no_path(output)
    options = options_of(TissueOptions, options)
    if kind not in STAINS:
        raise InputError(
            "argument `kind`",
            found=repr(kind),
            expected=f"one of {', '.join(STAINS)}",
            remedy="correct it",
        )
    if output is not None:
        _refuse_data(output)  # before anything is drawn
    if raw_rounds and options.transcripts is None:
        options = replace(options, transcripts=N_TRANSCRIPTS_RAW)
    rng = np.random.default_rng(SeedOptions(seed=seed).seed)
    drawn = draw_tissue(rng, options, STAINS[kind])
    pixel_size_um = SPATIAL_PIXEL_SIZE_UM if kind == "merfish" else SEQFISH_PIXEL_SIZE_UM
    # No molecule carries the codeword of a blank.
    drawn = keep_genes(drawn) if raw_rounds else drawn
    rounds = None
    if raw_rounds:
        given = None if raw_rounds is True else raw_rounds
        rounds = options_of(RawRoundsOptions, given, "raw_rounds")
    tissue = SimulatedTissue(kind, rounds, pixel_size_um, drawn, rng)
    if output is not None:
        tissue.write(output)
    return tissue


def _refuse_data(folder: str | Path) -> Path:
    """Refuse an existing folder that is no simulation: an existing folder is replaced whole."""
    path = Path(folder)
    if path.exists() and not (path / "truth").is_dir():
        raise InputError(
            path,
            found="something that is no simulation",
            expected="a new name or the folder of an earlier simulation",
            remedy="choose another output",
        )
    return path
