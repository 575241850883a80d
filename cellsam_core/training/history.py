"""Loss curve of a training run: a table and a plot that are updated during the run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pandas as pd

from cellsam_core.files.atomic import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

COLUMNS = (
    "dense_class", "dense_box", "query0_class", "query0_box", "query1_class", "query1_box",
    "mask_bce", "mask_dice", "mask_iou", "gradient_norm",
)  # fmt: skip
PANELS = {"boxes": "_box", "scores": "_class", "masks": "mask_"}


class History:
    """Mean losses between checkpoints, as a CSV file and, beside it, a PNG file.

    Parameters
    ----------
    path
        The CSV file. Rows from `start` on are dropped: a resumed run writes them again.
    start
        First step of this run.
    """

    def __init__(self, path: Path, start: int) -> None:
        self.path = path
        self.rows: list[tuple[int, float, dict[str, float]]] = []
        kept = []
        if path.exists():
            lines = path.read_text().splitlines()[1:]
            kept = [line for line in lines if int(line.split(",")[0]) < start]
        header = ",".join(("step", "learning_rate", *COLUMNS))
        with atomic_path(path) as temporary:
            temporary.write_text("\n".join([header, *kept]) + "\n")

    def add(self, step: int, rate: float, losses: dict[str, float]) -> None:
        """Add the losses of one step."""
        self.rows.append((step, rate, losses))

    def flush(self) -> None:
        """Write and log the mean of the added losses, and redraw the curve."""
        step, rate, _ = self.rows[-1]
        means = []
        for column in COLUMNS:
            values = [losses[column] for _, _, losses in self.rows if column in losses]
            means.append(f"{sum(values) / len(values):.5g}" if values else "")
        with self.path.open("a") as file:
            file.write(",".join((str(step), f"{rate:.4g}", *means)) + "\n")
        log.info(
            "step %d: %s",
            step,
            ", ".join(f"{c} {m}" for c, m in zip(COLUMNS, means, strict=True) if m),
        )
        self.rows.clear()
        plot_losses(self.path, self.path.with_suffix(".png"))


def plot_losses(table: Path, picture: Path) -> None:
    """Draw the losses of `table` over the steps, one panel a part of the model."""
    from matplotlib.figure import Figure

    losses = pd.read_csv(table)
    figure = Figure(figsize=(10, 3), layout="constrained")
    for axes, (title, part) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        for column in (c for c in losses.columns if part in c):
            axes.plot(losses["step"], losses[column], label=column)
        axes.set(title=title, xlabel="step", yscale="log")
        axes.legend(fontsize="small")
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})
