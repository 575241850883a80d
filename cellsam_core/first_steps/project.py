"""Folder of a new project: sample sheet and config, written once and never overwritten."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.config.schema import SECTIONS
from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.first_steps.proposal import Proposal

SHEET = Path("config/samples.tsv")
CONFIG = Path("config/config.yaml")
COLUMNS = (
    *("sample", "assay", "path", "pixel_size_um", "frame_interval_s"),
    *("nuclear_channel", "cell_channel", "ratio", "condition"),
)
HEAD = (
    "# Made by cellsam-core init. A row is an experiment. A row that begins with # is a comment.",
    "# An empty cell takes the value in the files or in config.yaml.",
    "# Any key of the config may be a column.",
)
CONFIG_KEYS = (
    ("segment", ("cell_diameter_px", "weights")),
    ("track", ("division",)),
    ("traces", ("baseline_frames", "drug_frame")),
)


def write_project(proposals: Sequence[Proposal], folder: str | Path) -> list[Path]:
    """Write ``config/samples.tsv`` and ``config/config.yaml`` of a new project.

    Parameters
    ----------
    proposals
        Rows, of :func:`cellsam_core.propose_sheet`.
    folder
        Folder of the project, which is made if need be. Snakemake runs in it.

    Returns
    -------
    list of Path
        The two files.

    Raises
    ------
    InputError
        One of the files exists already.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> folder = tempfile.TemporaryDirectory()
    >>> tifffile.imwrite(f"{folder.name}/nuclei.tif", np.ones((32, 48), np.uint16))
    >>> proposals = cc.propose_sheet([f"{folder.name}/nuclei.tif"])
    >>> [path.name for path in cc.write_project(proposals, f"{folder.name}/my_project")]
    ['samples.tsv', 'config.yaml']
    >>> folder.cleanup()
    """
    root = Path(folder)
    refuse_existing(root)
    _write(root / SHEET, sheet_text(proposals, (root / SHEET).parent))
    _write(root / CONFIG, config_text())
    return [root / SHEET, root / CONFIG]


def refuse_existing(folder: Path) -> None:
    """Refuse a folder that has a config or a sample sheet.

    Parameters
    ----------
    folder
        Folder of the project.

    Raises
    ------
    InputError
        One of the files exists; nothing is overwritten.
    """
    for path in (folder / SHEET, folder / CONFIG):
        if path.exists():
            raise InputError(
                path,
                found="a file",
                expected="none, because nothing is overwritten",
                remedy="name a new folder with -o, or add the rows to your sheet by hand",
            )


def next_steps(folder: Path, sample: str) -> str:
    """Write the commands that come after `init`.

    Parameters
    ----------
    folder
        Folder of the project.
    sample
        Name of a sample for the preview.
    """
    where = "" if folder == Path() else f" --directory {shlex.quote(str(folder))}"
    clone = Path(__file__).resolve().parents[2] / "Snakefile"
    is_here = not clone.is_file() or clone.parent == Path.cwd()
    snakefile = "" if is_here else f" --snakefile {shlex.quote(str(clone))}"
    return "\n".join(
        (
            f"Next: look at {folder / SHEET}, then type",
            f"  cellsam-core check{where}",
            f"  cellsam-core preview {sample}{where}",
            f"  snakemake{snakefile}{where} --cores {os.cpu_count() or 1}",
        )
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sheet_text(proposals: Sequence[Proposal], folder: Path) -> str:
    """Write the sample sheet as text, with comments on what was found and what is missing.

    Parameters
    ----------
    proposals
        Rows.
    folder
        Folder of the sheet, at which relative paths start.
    """
    columns = used_columns(proposals)
    lines = [*HEAD, *(line for proposal in proposals for line in _comments(proposal))]
    lines.append("\t".join(columns))
    lines += [row_text(proposal, columns, folder) for proposal in proposals]
    return "\n".join(lines) + "\n"


def used_columns(proposals: Sequence[Proposal]) -> list[str]:
    """List the columns of a sheet: those that are usual, and those that must be filled in."""
    asked = [column for proposal in proposals for column in (*proposal.row, *proposal.to_fill)]
    return list(dict.fromkeys([*COLUMNS, *asked]))


def row_text(proposal: Proposal, columns: Sequence[str], folder: Path) -> str:
    """Write one row of the sheet, its cells separated by tabs.

    Parameters
    ----------
    proposal
        The row.
    columns
        Columns in their order.
    folder
        Folder of the sheet; a path that was given as a relative one starts there.
    """
    row = dict(proposal.row)
    if not Path(row["path"]).is_absolute():
        row["path"] = os.path.relpath(row["path"], folder)
    return "\t".join(str(row.get(column, "")) for column in columns)


def _comments(proposal: Proposal) -> list[str]:
    lines = [f"# {proposal.sample}: {sentence}" for sentence in proposal.found]
    lines += [f"# {proposal.sample}: {request}" for request in proposal.requests()]
    if not proposal.can_be_read:
        lines.append(f"# {proposal.sample}: NOT READ: {proposal.problem}")
    return [" ".join(line.split()) for line in lines]


def config_text() -> str:
    """Write a config with the keys that are changed most often, as comments with their defaults."""
    lines = [
        "# Made by cellsam-core init. All keys are explained in config/README.md of cellsam_core.",
        "# Remove the sign # before a key and its section to change its value.",
        f"samples: {SHEET}",
    ]
    for section, keys in CONFIG_KEYS:
        lines.append(f"# {section}:")
        for key in keys:
            item = SECTIONS[section].properties[key]
            default = "null" if item["default"] is None else item["default"]
            lines.append(f"#   {key}: {default} # {item['description']}")
    return "\n".join(lines) + "\n"
