"""Folders of methods that are not read, though there are images in them: they are no movies."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Method(NamedTuple):
    """Method or program, by a file that it alone writes.

    Attributes
    ----------
    sign, content
        Pattern of the file's name, and a word in its first lines.
    found, expected, remedy
        As of `InputError`.
    """

    sign: re.Pattern[str]
    content: str
    found: str
    expected: str
    remedy: str


BEGINNING_CHARACTERS = 4096
_IMAGED = "transcripts of which each was seen in an image, or a movie"
_ALONE = "put its images into a folder of their own, if you want nothing but their cells"
METHODS = (
    Method(
        re.compile(r"codebook\.json"),
        "codeword",
        "raw rounds in the SpaceTx format of starfish, whose rounds are no time points",
        "decoded transcripts, or raw rounds with a sheet rounds.csv",
        "decode them with starfish and save the transcripts beside the stain, as transcripts.csv"
        " with the columns x_px, y_px and gene, or write a sheet rounds.csv (docs/decoding.md)",
    ),
    Method(
        re.compile(r".*\.(gem|gem\.gz|gef)"),
        "",
        "the counts of Stereo-seq",
        _IMAGED,
        _ALONE,
    ),
    Method(
        re.compile(r"tissue_positions(_list)?\.(csv|parquet)"),
        "",
        "the counts of Visium",
        _IMAGED,
        _ALONE,
    ),
)


def refuse_other_method(root: Path, folders: Iterable[Path]) -> None:
    """Refuse images beside the files of a method that is not read.

    Parameters
    ----------
    root
        The sample's folder; what is above it is not looked at.
    folders
        Folders with images, in `root` or below it; those beside them are looked at, too.

    Raises
    ------
    InputError
        It names the method and the file by which it was recognised.
    """
    within = {root}
    for folder in folders:
        within.update(f for f in (folder, *folder.parents) if f.is_relative_to(root))
    beside = {f for folder in within for f in _open_folders(folder)}
    for folder in sorted(within | beside):
        for file in sorted(f.name for f in folder.iterdir()):
            method = next((m for m in METHODS if m.sign.fullmatch(file)), None)
            if method is not None and _says(folder / file, method.content):
                raise InputError(
                    folder,
                    found=f"{method.found} (file {file})",
                    expected=method.expected,
                    remedy=method.remedy,
                )


def _open_folders(folder: Path) -> list[Path]:
    """List sub-folders that may be read and are no stores of chunks."""
    with os.scandir(folder) as entries:  # it knows which of thousands of entries are folders
        found = [Path(entry.path) for entry in entries if entry.is_dir()]
    found = [f for f in found if ".zarr" not in f.suffixes and not f.name.startswith(".")]
    return [f for f in found if os.access(f, os.R_OK | os.X_OK)]


def _says(file: Path, word: str) -> bool:
    """Tell whether the beginning of a text has a word; any file has the empty one."""
    if not word:
        return True
    with file.open(encoding="utf-8", errors="replace") as stream:
        return word in stream.read(BEGINNING_CHARACTERS)
