"""Growing cell population: soft discs that move, grow, divide or bud."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.simulation.shapes import Outline, place

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIVISIONS = ("mitosis", "budding", "none")
# A daughter of half the area; two of them side by side cover the mother.
HALF_AREA_RADIUS = np.sqrt(0.5)
BUD_START, BUD_END = 0.42, 0.8  # radius of a bud over its mother's, at emergence and release


@dataclass
class Cell:
    """State of one cell in one frame.

    Attributes
    ----------
    track_id, parent_id
        Ids from 1; 0 = no parent. A mother that buds keeps her id, one that divides does not.
    cycle_start
        Frame of birth, for a yeast of its release; negative for cells older than the movie.
    yx, velocity
        Pixels, pixels per frame.
    birth_area, final_area
        Squared radii in px^2 at the start and at the end of the cycle.
    cycle_frames
        Frames that growth from the one to the other takes; mitosis comes at their end.
    axis
        Direction of elongation and of division, radians.
    attached_to
        Mother's id while this cell is a bud.
    next_bud
        Frame of the next bud, if budding.
    traits
        Reporter parameters, inherited with little change.
    """

    track_id: int
    parent_id: int
    cycle_start: int
    yx: NDArray[np.float64]
    velocity: NDArray[np.float64]
    birth_area: float
    final_area: float
    cycle_frames: int
    axis: float
    elongation: float
    harmonics: NDArray[np.float64]
    traits: NDArray[np.float64]
    attached_to: int = 0
    next_bud: int = 0

    def age(self, frame: int) -> int:
        """Return the frames since the start of the cycle."""
        return frame - self.cycle_start

    def radius_px(self, frame: int) -> float:
        """Return the radius of the disc of the cell's area, which grows linearly over the cycle."""
        progress = min(max(self.age(frame) / self.cycle_frames, 0), 1)
        return float(np.sqrt(self.birth_area + progress * (self.final_area - self.birth_area)))


@dataclass(frozen=True)
class Division:
    """Birth: two daughters of a mitosis, or one bud."""

    kind: str
    frame: int
    parent_id: int
    daughter_ids: tuple[int, ...]


class Population:
    """Cells in a view, advanced frame by frame.

    Parameters
    ----------
    rng
        Source of all randomness.
    shape_yx
        Size of the view in pixels.
    n_cells
        Cells wanted at the start; fewer if the view has no room.
    diameter_px
        Mean diameter of a cell about to divide.
    cycle_frames
        Mean frames between divisions of a cell.
    division
        ``mitosis``, ``budding`` or ``none``.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape_yx: tuple[int, int],
        *,
        n_cells: int,
        diameter_px: float,
        cycle_frames: int,
        division: str,
    ) -> None:
        if division not in DIVISIONS:
            raise ValueError(f"division {division!r} is none of {', '.join(DIVISIONS)}")
        self.rng = rng
        self.shape_yx = shape_yx
        self.cycle_frames = cycle_frames
        self.division = division
        self.final_area = (diameter_px / 2) ** 2
        self.next_id = 1
        self.frame = 0
        self.divisions: list[Division] = []
        radii = np.full(n_cells, 0.43 * diameter_px)
        clustering = 0.6 if division == "budding" else 0.2
        discs = place(rng, shape_yx, radii, clustering=clustering, overlap=0.02)
        inside = ((discs[:, :2] > 0) & (discs[:, :2] < shape_yx)).all(axis=1)
        self.cells = [self._founder(disc[:2]) for disc in discs[inside]]

    def _founder(self, yx: NDArray[np.float64]) -> Cell:
        rng = self.rng
        final_area = self.final_area * float(rng.uniform(0.85, 1.15))
        cycle = self._cycle()
        adult = self.division == "budding"
        return Cell(
            track_id=self._new_id(),
            parent_id=0,
            cycle_start=-int(rng.integers(0, cycle)),
            yx=yx.copy(),
            velocity=rng.normal(0, 0.5, size=2),
            birth_area=final_area * (0.9 if adult else 0.5),
            final_area=final_area,
            cycle_frames=cycle,
            next_bud=int(rng.integers(0, cycle)),
            axis=float(rng.uniform(0, np.pi)),
            elongation=1.1 if adult else float(rng.uniform(1.05, 1.5)),
            harmonics=self._harmonics(),
            # Expression, resting ratio, response amplitude, delay and rise time in frames.
            traits=np.array(
                [
                    rng.lognormal(0, 0.3),
                    rng.lognormal(0, 0.08),
                    np.clip(rng.normal(0.7, 0.2), 0.25, 1.3),
                    rng.uniform(0, 1.5),
                    rng.uniform(0.6, 1.8),
                ]
            ),
        )

    def _harmonics(self) -> NDArray[np.float64]:
        roughness = 0.01 if self.division == "budding" else 0.045
        orders = np.arange(2, 7)
        amplitude = roughness * self.rng.normal(0, 1, size=len(orders)) / np.sqrt(orders - 1)
        phase = self.rng.uniform(0, 2 * np.pi, size=len(orders))
        return np.stack([amplitude, phase], axis=1)

    def _cycle(self) -> int:
        return max(round(self.rng.normal(self.cycle_frames, 0.15 * self.cycle_frames)), 3)

    def _new_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def advance(self) -> None:
        """Advance by one frame: divide or bud, move, push overlapping cells apart."""
        self.frame += 1
        if self.division == "mitosis":
            self.cells = [c for cell in self.cells for c in self._divide(cell)]
        elif self.division == "budding":
            self.cells += [bud for cell in list(self.cells) for bud in self._bud(cell)]
        self._crawl()
        self._relax()

    def in_mitosis(self, cell: Cell) -> bool:
        """Tell whether the cell is round, with condensed chromosomes, and divides next frame."""
        last = cell.age(self.frame) >= cell.cycle_frames - 1
        return self.division == "mitosis" and last and self._well_inside(cell)

    def _well_inside(self, cell: Cell) -> bool:
        margin = 1.3 * cell.radius_px(self.frame)
        return bool(((cell.yx > margin) & (cell.yx < np.array(self.shape_yx) - margin)).all())

    def _divide(self, cell: Cell) -> list[Cell]:
        # A cell at the border waits, so that both daughters of every division are in view.
        if cell.age(self.frame) < cell.cycle_frames or not self._well_inside(cell):
            return [cell]
        rng = self.rng
        radius = cell.radius_px(self.frame) * HALF_AREA_RADIUS
        direction = np.array([np.sin(cell.axis), np.cos(cell.axis)])
        daughters = [
            replace(
                cell,
                track_id=self._new_id(),
                parent_id=cell.track_id,
                cycle_start=self.frame,
                yx=cell.yx + side * 1.0 * radius * direction,
                velocity=cell.velocity + side * 0.5 * direction,
                birth_area=radius**2,
                final_area=self.final_area * float(rng.uniform(0.85, 1.15)),
                cycle_frames=self._cycle(),
                axis=cell.axis + np.pi / 2 + float(rng.normal(0, 0.3)),
                elongation=1.1,
                harmonics=self._harmonics(),
                traits=self._inherit(cell.traits),
            )
            for side in (-1, 1)
        ]
        ids = tuple(d.track_id for d in daughters)
        self.divisions.append(Division("mitosis", self.frame, cell.track_id, ids))
        return daughters

    def _inherit(self, traits: NDArray[np.float64]) -> NDArray[np.float64]:
        inherited: NDArray[np.float64] = traits * self.rng.lognormal(0, 0.04, size=len(traits))
        return inherited

    def _bud(self, cell: Cell) -> list[Cell]:
        if cell.attached_to:
            if cell.age(self.frame) >= cell.cycle_frames:
                self._release(cell)
            return []
        if self.frame < cell.next_bud or not self._well_inside(cell):
            return []
        bud_frames = max(self.cycle_frames // 2, 3)
        cell.next_bud = self.frame + max(self._cycle(), bud_frames + 1)
        radius = cell.radius_px(self.frame)
        angle = self._free_direction(cell)
        direction = np.array([np.sin(angle), np.cos(angle)])
        bud = replace(
            cell,
            track_id=self._new_id(),
            parent_id=cell.track_id,
            cycle_start=self.frame,
            yx=cell.yx + radius * (1 + 0.7 * BUD_START) * direction,
            velocity=np.zeros(2),
            birth_area=(BUD_START * radius) ** 2,
            final_area=(BUD_END * radius) ** 2,
            cycle_frames=bud_frames,
            axis=angle,
            elongation=1.1,
            harmonics=self._harmonics(),
            traits=self._inherit(cell.traits),
            attached_to=cell.track_id,
        )
        self.divisions.append(Division("bud", self.frame, cell.track_id, (bud.track_id,)))
        return [bud]

    def _release(self, bud: Cell) -> None:
        """Turn a grown bud into a separate cell, which grows and buds a cycle later."""
        bud.birth_area, bud.final_area = bud.final_area, self.final_area
        bud.cycle_start, bud.cycle_frames = self.frame, self._cycle()
        bud.next_bud = self.frame + bud.cycle_frames
        bud.attached_to = 0

    def _free_direction(self, cell: Cell) -> float:
        """Choose the one of twelve directions whose bud is farthest from the other cells."""
        angles = self.rng.uniform(0, 2 * np.pi) + np.arange(12) * np.pi / 6
        reach = 1.3 * cell.radius_px(self.frame)
        tips = cell.yx + reach * np.stack([np.sin(angles), np.cos(angles)], axis=1)
        others = np.array([c.yx for c in self.cells if c is not cell]).reshape(-1, 2)
        if len(others) == 0:
            return float(angles[0])
        clearance = np.hypot(*(tips[:, None] - others[None]).transpose(2, 0, 1)).min(axis=1)
        return float(angles[int(np.argmax(clearance))])

    def _crawl(self) -> None:
        """Move as a persistent random walk; dividing cells stand still, yeast hardly moves."""
        step = 0.1 if self.division == "budding" else 0.045 * 2 * np.sqrt(self.final_area)
        for cell in self.cells:
            still = 0.2 if self.in_mitosis(cell) else 1.0
            noise = self.rng.normal(0, step, size=2)
            cell.velocity = 0.7 * cell.velocity + np.sqrt(1 - 0.7**2) * noise
            cell.yx = cell.yx + still * cell.velocity
            cell.axis += float(self.rng.normal(0, 0.06))
            if self.division != "budding":
                pull = 0.25 * (1.25 - cell.elongation) + self.rng.normal(0, 0.04)
                cell.elongation = float(np.clip(cell.elongation + pull, 1.0, 1.6))
                cell.harmonics[:, 1] += self.rng.normal(0, 0.12, size=len(cell.harmonics))

    def _relax(self, n_steps: int = 12) -> None:
        """Push overlapping discs apart, and hold buds at their mothers."""
        n = len(self.cells)
        if n < 2:
            return
        yx = np.array([c.yx for c in self.cells])
        radius = np.array([c.radius_px(self.frame) for c in self.cells])
        contact = 0.97 * (radius[:, None] + radius[None, :])
        row = {c.track_id: i for i, c in enumerate(self.cells)}
        tied = np.zeros((n, n), dtype=bool)
        for i, cell in enumerate(self.cells):
            if cell.attached_to in row:
                tied[i, row[cell.attached_to]] = tied[row[cell.attached_to], i] = True
        for _ in range(n_steps):
            offset = yx[:, None, :] - yx[None, :, :]
            apart = np.hypot(offset[..., 0], offset[..., 1]) + np.eye(n)
            overlap = np.where(tied, contact - apart, np.maximum(contact - apart, 0))
            np.fill_diagonal(overlap, 0)
            push = 0.3 * (overlap / apart)[..., None] * offset
            yx += push.sum(axis=1)
        for cell, position in zip(self.cells, yx, strict=True):
            cell.yx = position

    def outline(self, cell: Cell) -> Outline:
        """Return the border of a cell; a cell in mitosis is round."""
        round_up = self.in_mitosis(cell)
        return Outline(
            float(cell.yx[0]),
            float(cell.yx[1]),
            cell.radius_px(self.frame),
            1.0 if round_up else cell.elongation,
            cell.axis,
            cell.harmonics * (0.0 if round_up else 1.0),
        )
