"""Limits of the verdict, the one table of them, and the data that they come from.

``python tools/make_verdict_table.py`` writes the table in ``docs/verdict.md`` from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cellsam_core.verdict.checks import Colour

SIMULATED = "simulated samples made worse step by step (benchmarks/measure_verdict.py)"
REGISTRATION = (
    "48 simulated sections with transcripts of another one, exchanged or mirrored, and 6 with their"
    " own (benchmarks/measure_registration.py)"
)
REAL = "U373 and HeLa movies of the Cell Tracking Challenge, MERSCOPE and CosMx tissues"
JUDGED = "chosen: no data tells where a reader should look"


@dataclass(frozen=True)
class Limit:
    """Limits of one measure.

    Attributes
    ----------
    name
        Key of the measure in ``verdict.json``.
    meaning
        Noun phrase that says what is measured.
    unit
        Unit of the value; empty for a ratio or score.
    green
        Value up to which the measure is green, this value included.
    red
        Value beyond which it is red, this value excluded; between the two it is amber.
    cause
        Sentence on the likely cause of a bad value, and what to look at.
    basis
        Data from which the limits come.
    higher_is_better
        True where small values are bad.
    kinds
        Kinds of sample that have the measure.
    """

    name: str
    meaning: str
    unit: str
    green: float
    red: float
    cause: str
    basis: str = SIMULATED
    higher_is_better: bool = False
    kinds: tuple[Literal["movie", "tissue"], ...] = ("movie", "tissue")

    def colour(self, value: float | None) -> Colour:
        """Return the colour of a value; unknown for None and NaN."""
        if value is None or math.isnan(value):
            return "unknown"
        sign = 1 if self.higher_is_better else -1
        if sign * value >= sign * self.green:
            return "green"
        return "amber" if sign * value >= sign * self.red else "red"

    def say(self) -> str:
        """Describe the limits, such as ``green from 0.6, red below 0.5``."""
        unit = f" {self.unit}" if self.unit else ""
        words = ("from", "below") if self.higher_is_better else ("up to", "above")
        return f"green {words[0]} {self.green:g}{unit}, red {words[1]} {self.red:g}{unit}"


MOVIE: tuple[Literal["movie", "tissue"], ...] = ("movie",)
TISSUE: tuple[Literal["movie", "tissue"], ...] = ("tissue",)
WEAK_SCORE = 0.5
"""Detection score below which a cell counts as weak in the reason of the check."""
MANY_AMBER = 4
"""Number of amber checks that make the whole verdict red: doubts of several kinds add up."""
MIN_DIVISIONS = 5
"""Fewest divisions of which a share is judged."""

SCORE = Limit(
    "median_score",
    "Median detection score of the cells",
    "",
    0.6,
    0.5,
    "The model is unsure of the cells: the image may be noise, out of focus, of another stain or of"
    " a kind that the model does not know.",
    f"{SIMULATED}; {REAL}",
    higher_is_better=True,
)
EMPTY_FRAMES = Limit(
    "empty_frames",
    "Share of frames without a cell",
    "%",
    0,
    10,
    "The stain may be the wrong one, or the light was off.",
)
N_CELLS = Limit(
    "n_cells",
    "Number of cells in all frames together",
    "",
    20,
    1,
    "They are too few to judge: look at each of them.",
    JUDGED,
    higher_is_better=True,
)
FIELD = Limit(
    "size_in_field",
    "Median diameter of the cells over the shorter side of the image",
    "%",
    35,
    60,
    "What was taken for cells fills the field, as uneven light does: check the stain.",
)
DIAMETER = Limit(
    "diameter",
    "Median diameter of the cells",
    "px",
    8,
    6,
    "They are too small to be drawn: specks of dust, or a magnification that is too low.",
    higher_is_better=True,
)
CELL_UM = (0.5, 100.0)
"""Diameters that cells have, in micrometres: from small bacteria to large adherent cells."""
SIZE_UM = Limit(
    "size_um",
    "Factor by which the median diameter is above 100 µm or below 0.5 µm; 1 between them",
    "times",
    1,
    5,
    "The pixel size may be wrong: it is that of the camera over the magnification.",
    JUDGED,
)
SIZE_FACTOR = Limit(
    "size_factor",
    "Median diameter of the cells and diameter that they were searched with, the larger over the"
    " smaller",
    "times",
    1.5,
    2.5,
    "The cells are of another size than was searched for: give `cell_diameter_px`.",
)
SIZE_SPREAD = Limit(
    "size_spread",
    "Diameter that 10 % of the cells exceed, over the one that 90 % exceed",
    "times",
    2.5,
    4.0,
    "Debris or merged cells may be among the cells: look at the smallest and the largest ones.",
)
SIZE_CHANGE = Limit(
    "size_change",
    "Largest change of the median diameter between quarters of the movie",
    "times",
    1.25,
    1.6,
    "Focus or stain may change during the movie.",
    kinds=MOVIE,
)
AT_BORDER = Limit(
    "at_border",
    "Share of cells that the border of the image cuts",
    "%",
    40,
    75,
    "Most cells are incomplete: the field is small for these cells.",
    JUDGED,
)
SEAMS = Limit(
    "seams",
    "Difference between the density of cells near seams of tiles and beside them, beyond twice its"
    " standard error",
    "%",
    10,
    30,
    "Cells are lost or counted twice where tiles meet.",
    JUDGED,
)
INTERRUPTED = Limit(
    "interruptions",
    "Beginnings and ends of tracks inside the field without a division, half their number for 100"
    " masks",
    "",
    2,
    8,
    "Cells are lost between frames or found only in some: tracks are pieces.",
    f"{SIMULATED}; {REAL}",
    kinds=MOVIE,
)
CHANGE = Limit(
    "area_change",
    "Median change of a cell's area from frame to frame",
    "%",
    0.5,
    0.1,
    "What was followed never changes: it may be dust on the optics, or frames are repeated.",
    higher_is_better=True,
    kinds=MOVIE,
)
WRONG_LINKS = Limit(
    "wrong_links",
    "Expected share of wrong links among those that were made",
    "%",
    2,
    6,
    "Cells move too far between frames, or their outlines change too much.",
    f"{SIMULATED}; {REAL}",
    kinds=MOVIE,
)
WRONG_DIVISIONS = Limit(
    "doubtful_divisions",
    "Share of divisions with a probability below 2/3",
    "%",
    30,
    60,
    "Look at the divisions before you use lineages.",
    kinds=MOVIE,
)
DOUBLING = Limit(
    "doubling_time",
    "Time in which the cells double, by the rate of divisions and the frame interval",
    "h",
    0.15,
    0.05,
    "No cell is so fast: the frame interval may be wrong, or most divisions are.",
    JUDGED,
    higher_is_better=True,
    kinds=MOVIE,
)
VALID_VALUES = Limit(
    "valid_values",
    "Share of valid values of the ratio, of whole cells",
    "%",
    70,
    40,
    "Look at the reasons before you use the ratio.",
    JUDGED,
    higher_is_better=True,
    kinds=MOVIE,
)
DRIFT = Limit(
    "drift",
    "Largest step of the stage between two frames, in cell diameters",
    "",
    1,
    4,
    "Cells at the border are lost at this step.",
    JUDGED,
    kinds=MOVIE,
)
BLANK = Limit(
    "blank_frames",
    "Share of frames that show no more than noise of the camera",
    "%",
    0,
    10,
    "The light was off, or the channel has no stain.",
)
REPEATED = Limit(
    "repeated_frames",
    "Share of frames that are equal to the frame before, pixel for pixel",
    "%",
    0,
    10,
    "The export repeats frames: intervals and rates are wrong.",
    kinds=MOVIE,
)
ORDER = Limit(
    "order",
    "Resemblance of consecutive frames that is lost by their order: 0 for the best order, about 100"
    " for a random one",
    "%",
    5,
    10,
    "The frames may be out of order: check how the files are numbered.",
    kinds=MOVIE,
)
FOCUS_CHANGE = Limit(
    "focus_change",
    "Share of frames that are less than half as sharp as the sharpest tenth",
    "%",
    10,
    50,
    "The focus was lost during the movie.",
    kinds=MOVIE,
)
BLUR = Limit(
    "blur",
    "Width of an edge of the image over the diameter of the cells",
    "",
    0.28,
    0.34,
    "The image is out of focus.",
    f"{SIMULATED}; {REAL}",
)
SATURATED = Limit(
    "saturated",
    "Share of the pixels of cells that are at the largest grey value",
    "%",
    1,
    20,
    "The exposure was too long: shapes and intensities are cut off.",
)
IN_CELLS = Limit(
    "in_cells",
    "Share of the transcripts that lie in cells",
    "%",
    40,
    20,
    "Cells are missing, or the image and the transcripts do not belong together.",
    f"{SIMULATED}; {REAL}",
    higher_is_better=True,
    kinds=TISSUE,
)
PER_CELL = Limit(
    "per_cell",
    "Median number of transcripts in a cell",
    "",
    20,
    5,
    "There are too few transcripts to tell cells apart.",
    JUDGED,
    higher_is_better=True,
    kinds=TISSUE,
)
CONTROLS = Limit(
    "controls",
    "Mean count of the blanks over the mean count of the genes",
    "%",
    10,
    30,
    "Many transcripts are decoded by chance.",
    JUDGED,
    kinds=TISSUE,
)
ALIGNMENT = Limit(
    "alignment",
    "Largest of the median residuals of rounds, colours and overlapping fields of raw rounds",
    "px",
    0.5,
    1.0,
    "Light of one molecule does not meet in one place, so that molecules are lost: look at the"
    " fiducials, and at the table of the colours.",
    JUDGED,
    kinds=TISSUE,
)
PLACED = Limit(
    "placed_fields",
    "Share of the fields of raw rounds whose position was refined in an overlap",
    "%",
    90,
    50,
    "Fields lie where the stage says, which may be some pixels off: molecules at their seams may be"
    " counted twice or not at all.",
    JUDGED,
    higher_is_better=True,
    kinds=TISSUE,
)
PURITY = Limit(
    "purity",
    "Share of a cell's transcripts that are its own",
    "%",
    80,
    60,
    "Cells hold transcripts of their neighbours.",
    JUDGED,
    higher_is_better=True,
    kinds=TISSUE,
)
CONTRAST = Limit(
    "follows_cells",
    "Excess of transcripts in cells over the same with the transcripts moved by more than a cell,"
    " in standard deviations of the moves",
    "",
    3.5,
    1.0,
    "The transcripts hardly follow the cells: the transform may be wrong, they may be of another"
    " region, or cells fill the whole image.",
    REGISTRATION,
    higher_is_better=True,
    kinds=TISSUE,
)
DENSITY = Limit(
    "density_ratio",
    "Transcripts per area in cells over those between cells",
    "",
    1.6,
    1.4,
    "Transcripts are hardly denser in cells than between them: the transform may be wrong, they may"
    " be of another region, or the outlines do not follow the cells.",
    REGISTRATION,
    higher_is_better=True,
    kinds=TISSUE,
)
OFFSET = Limit(
    "offset",
    "Shift of the transcripts at which most of them lie in cells, in cell diameters",
    "",
    0.2,
    0.4,
    "The transcripts are shifted against the image: check the transform.",
    kinds=TISSUE,
)
CHECKS_MADE = Limit(
    "checks_made",
    "Share of the checks that could be made, if it is below one half",
    "%",
    50,
    1,
    "Little is known of this sample: run the stages that are missing, or look at the results"
    " yourself.",
    JUDGED,
    higher_is_better=True,
)

LIMITS: tuple[Limit, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Limit)
)
"""All limits, in the order of the table."""
