"""Checks of a verdict: measures against their limits, and the worst colour of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cellsam_core.verdict.limits import CHECKS_MADE, MANY_AMBER
from cellsam_core.version import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.verdict.limits import Limit

Colour = Literal["green", "amber", "red", "unknown"]
ORDER: tuple[Colour, ...] = ("unknown", "green", "amber", "red")
WORDS = {"green": "good", "amber": "look", "red": "bad", "unknown": "not measured"}
SYMBOLS = {"green": "\u2713", "amber": "!", "red": "\u2717", "unknown": "\u2013"}
"""Check mark, exclamation mark, cross and dash: the colour is never the only sign."""


@dataclass(frozen=True)
class Measure:
    """Measured value beside its limit.

    Attributes
    ----------
    limit
        Limits of the value, and the words for them.
    value
        Measured value; None where it could not be measured.
    detail
        Sentence with the numbers behind the value, or with the reason for its absence.
    """

    limit: Limit
    value: float | None
    detail: str = ""

    @property
    def colour(self) -> Colour:
        """Colour of the value."""
        return self.limit.colour(self.value)

    @property
    def reason(self) -> str:
        """Detail and, unless all is well, the likely cause, in one line."""
        said = self.detail if self.value is not None else f"Not measured. {self.detail}"
        return f"{said} {self.limit.cause}" if self.colour in ("amber", "red") else said.strip()

    def to_json(self) -> dict[str, Any]:
        """Return the entry of ``verdict.json``."""
        value = None if self.value is None else float(f"{self.value:.6g}")
        return {
            "name": self.limit.name,
            "colour": self.colour,
            "value": value,
            "unit": self.limit.unit,
            "limit": {"green": self.limit.green, "red": self.limit.red},
            "higher_is_better": self.limit.higher_is_better,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Check:
    """Check of one aspect of a sample, as good as the worst of its measures.

    Attributes
    ----------
    name, title
        Key in ``verdict.json``, and words for the reader.
    link
        Anchor of the section of the report that shows the pictures.
    measures
        Measures, at least one, in the order of their weight.
    """

    name: str
    title: str
    link: str
    measures: tuple[Measure, ...]

    @property
    def worst(self) -> Measure:
        """The measure that decides; the first of several of one colour."""
        return max(self.measures, key=lambda measure: ORDER.index(measure.colour))

    @property
    def colour(self) -> Colour:
        """Colour of the worst measure."""
        return self.worst.colour

    def to_json(self) -> dict[str, Any]:
        """Return the entry of ``verdict.json``: that of the worst measure, and all measures."""
        entry = {"name": self.name, "title": self.title}
        decisive = self.worst.to_json()
        decisive["measure"] = decisive.pop("name")
        measures = [measure.to_json() for measure in self.measures]
        return entry | decisive | {"link": f"report.html#{self.link}", "measures": measures}


@dataclass(frozen=True)
class Verdict:
    """Verdict on a sample.

    Attributes
    ----------
    sample, assay
        Name of the sample, and ``movie``, ``merfish`` or ``seqfish``.
    checks
        Six to ten checks.
    numbers
        Chief numbers of the sample, by name.
    """

    sample: str
    assay: str
    checks: tuple[Check, ...]
    numbers: dict[str, float | int | None] = field(default_factory=dict)

    @property
    def colour(self) -> Colour:
        """Colour of the worst check; four amber checks or more are red together."""
        if len(self.of_colour("amber")) >= MANY_AMBER:
            return "red"
        return worst_of([check.colour for check in self.checks])

    @property
    def word(self) -> str:
        """Word for the colour: good, look, bad or not measured."""
        return WORDS[self.colour]

    def __getitem__(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)

    def of_colour(self, *colours: Colour) -> list[Check]:
        """Return the checks of some colours."""
        return [check for check in self.checks if check.colour in colours]

    def to_json(self) -> str:
        """Serialise as ``verdict.json``; the same verdict gives the same bytes."""
        record = {
            "schema_version": SCHEMA_VERSION,
            "sample": self.sample,
            "assay": self.assay,
            "colour": self.colour,
            "word": self.word,
            "numbers": self.numbers,
            "checks": [check.to_json() for check in self.checks],
        }
        return json.dumps(record, indent=1) + "\n"


def too_few_made(checks: Sequence[Check]) -> Check | None:
    """Return a check that warns if most checks could not be made; None if half or none were made.

    Without it, one good measure would make the verdict on an unknown sample good.
    """
    absent = [check.title for check in checks if check.colour == "unknown"]
    n, n_made = len(checks), len(checks) - len(absent)
    if n_made == 0 or 2 * n_made >= n:
        return None
    said = f"{n_made} of {n} checks could be made. These could not: {', '.join(absent)}."
    measure = Measure(CHECKS_MADE, 100 * n_made / n, said)
    return Check("completeness", "Checks that could be made", "verdict", (measure,))


def worst_of(colours: Sequence[Colour]) -> Colour:
    """Return the worst of some colours; unknown if there is none."""
    return max(colours, key=ORDER.index, default="unknown")
