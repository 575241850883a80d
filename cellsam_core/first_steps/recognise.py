"""Kind of experiment in a folder or file, told by its files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import image_stem
from cellsam_core.samples.raw_rounds import find_format
from cellsam_core.samples.spatial import READERS
from cellsam_core.samples.vendors.tables import text_tables, transcript_table, transcript_tables

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.samples.options import Assay

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


class Kind(NamedTuple):
    """Kind of experiment.

    Attributes
    ----------
    assay
        ``movie``, ``merfish`` or ``seqfish``.
    is_raw
        True for raw rounds, which are decoded first.
    reason
        Sign by which the kind was told, in words.
    """

    assay: Assay
    is_raw: bool
    reason: str


def kind_of(path: Path) -> Kind:
    """Tell movies, transcripts and raw rounds apart.

    Parameters
    ----------
    path
        Folder or file of one experiment.
    """
    if not path.is_dir():
        return Kind("movie", False, "it is a file of images")
    raw = find_format(path)
    if raw == "merlin":
        return Kind("merfish", True, "it has a data organization, as raw rounds of MERFISH have")
    if raw is not None:
        return Kind("seqfish", True, "it has rounds.csv, as raw rounds have")
    for name, reader in READERS.items():
        if name != "generic" and reader.fits(path):
            assay: Assay = "seqfish" if name == "spatial_genomics" else "merfish"
            return Kind(assay, False, f"its files are those of {name}")
    try:
        table = transcript_table(path)
    except InputError:
        if transcript_tables(path):
            return Kind("merfish", False, "it has several tables of transcripts")
        if text := text_tables(path):
            return Kind("merfish", False, f"it has the table of transcripts {text[0].name}")
        return Kind("movie", False, "it has images and no table of transcripts")
    return Kind("merfish", False, f"it has the table of transcripts {table.name}")


def name_for(path: Path) -> str:
    """Make the name of a sample from that of its folder or file.

    Parameters
    ----------
    path
        Folder or file of one experiment.

    Examples
    --------
    >>> from pathlib import Path
    >>> name_for(Path("B3 drug/images"))
    'B3_drug'
    """
    own = path.name.split(".")[0] if path.is_file() else path.name
    own = image_stem(path) if path.suffix == ".zarr" else own
    generic = {"images", "image", "raw", "data", "tiff", "tif", "frames"}
    name = path.parent.name if own.lower() in generic and path.parent.name else own
    return NOT_IN_NAMES.sub("_", name).strip("._-") or "sample"
