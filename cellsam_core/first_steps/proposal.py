"""Proposal of a row of the sample sheet, made from the files of an experiment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import find_images, is_ome_zarr
from cellsam_core.files.foreign import is_microscope_file
from cellsam_core.files.spatialdata_store import refuse_store
from cellsam_core.first_steps.names_told import told_by_names
from cellsam_core.first_steps.recognise import kind_of, name_for
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.positions import positions_of
from cellsam_core.samples.sources import FILES, words_of_unit
from cellsam_core.samples.stage import inspect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.first_steps.recognise import Kind
    from cellsam_core.samples.manifest import Manifest

N_SHOWN = 6


@dataclass(frozen=True)
class Proposal:
    """Row of the sample sheet for one experiment.

    Attributes
    ----------
    row
        Column to value; columns without a value are not in it.
    found
        Sentences that say what was found and what was guessed, and from where.
    to_fill
        Column to the sentence that says what the user must write into it.
    problem
        Sentence that says why the files can't be read; empty if they can.
    position
        The first of several positions, of which each becomes a sample; empty if there is one.
    """

    row: dict[str, Any]
    found: list[str] = field(default_factory=list)
    to_fill: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    position: str = ""

    @property
    def sample(self) -> str:
        """Name of the sample."""
        return str(self.row["sample"])

    @property
    def first_sample(self) -> str:
        """Name of the sample, or of the first of those that the row becomes."""
        return f"{self.sample}-{self.position}" if self.position else self.sample

    @property
    def can_be_read(self) -> bool:
        """True unless the files can't be read whatever is filled in."""
        return not self.problem or bool(self.to_fill)

    @property
    def has_channels(self) -> bool:
        """True if a channel was chosen, or must be, which it is only among several."""
        return bool({"nuclear_channel", "cell_channel"} & {*self.row, *self.to_fill})

    def text(self) -> str:
        """Write what was found, and what the user must fill in, one line each."""
        lines = [f"{self.sample}: {self.row['path']}", *(f"  {line}" for line in self.found)]
        lines += [f"  {line}" for line in self.requests()]
        if not self.can_be_read:
            lines.append(f"  NOT READ: {self.problem}")
        return "\n".join(lines)

    def requests(self) -> list[str]:
        """Write what the user must fill in; what holds for several columns is written once."""
        columns: dict[str, list[str]] = {}
        for column, sentence in self.to_fill.items():
            columns.setdefault(sentence, []).append(column)
        return [f"FILL IN {' or '.join(names)}: {text}" for text, names in columns.items()]


def propose_sheet(paths: Sequence[str | Path]) -> list[Proposal]:
    """Propose a row of the sample sheet for each experiment in the given folders and files.

    Parameters
    ----------
    paths
        Folders or files, each of one experiment, or folders that hold one experiment in each
        sub-folder or file. A movie of several positions is one row. A sub-folder without
        images is left out.

    Returns
    -------
    list of Proposal
        One for each experiment, with a name of its own. If files can't be read, the proposal
        says why, or what the user must fill in.

    Raises
    ------
    InputError
        A path does not exist, or neither it nor a sub-folder holds images.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> folder = tempfile.TemporaryDirectory()
    >>> for name in ("DAPI_t0", "DAPI_t1", "YFP_t0", "YFP_t1"):
    ...     tifffile.imwrite(f"{folder.name}/{name}.tif", np.ones((32, 48), np.uint16))
    >>> (proposal,) = cc.propose_sheet([folder.name])
    >>> proposal.row["assay"], proposal.row["nuclear_channel"]
    ('movie', 'DAPI')
    >>> folder.cleanup()
    """
    proposals = [proposal for path in paths for proposal in _experiments(Path(path))]
    used: dict[str, int] = {}
    named = []
    for proposal in proposals:
        used[proposal.sample] = used.get(proposal.sample, 0) + 1
        n = used[proposal.sample]
        name = proposal.sample if n == 1 else f"{proposal.sample}_{n}"
        named.append(replace(proposal, row=proposal.row | {"sample": name}))
    return named


def _experiments(path: Path) -> list[Proposal]:
    """Propose a row for a path or, if it can't be read, for each experiment in it."""
    if not path.exists():
        raise InputError(
            path,
            found="nothing",
            expected="a folder or a file of images",
            remedy="correct the path",
        )
    refuse_store(path)
    entries = [] if path.is_file() else sorted(path.iterdir())
    folders = [entry for entry in entries if _is_open(entry)]
    is_tissue = kind_of(path).assay != "movie"
    tissues = [folder for folder in folders if kind_of(folder).assay != "movie"]
    # A folder of tissues would be read as a movie of several positions.
    holds_tissues = bool(tissues) and not is_tissue
    whole = propose(path)
    if is_tissue:
        # Its images alone, without the transcripts, are no movie.
        regions = [] if whole.can_be_read else [propose(folder) for folder in tissues]
        return regions if any(region.can_be_read for region in regions) else [whole]
    files = [entry for entry in entries if is_microscope_file(entry) and entry.is_file()]
    if len(files) > 1 and not whole.can_be_read and not folders and not find_images(path, 0):
        return [propose(file) for file in files]
    if is_ome_zarr(path):  # its sub-folders are parts of it
        return [whole]
    needs_pattern = "pattern" in whole.to_fill
    if not holds_tissues and not needs_pattern and (whole.can_be_read or not folders):
        return [whole]
    pairs = [
        (folder, part)
        for folder in folders
        for part in (_experiments(folder) if folder in tissues else [propose(folder)])
    ]
    parts = [part for _, part in pairs]
    # Sub-folders with channels of their own are experiments, whatever they are called.
    if not holds_tissues and needs_pattern and not any(part.has_channels for part in parts):
        return [whole]
    if any(part.can_be_read for part in parts):
        # An experiment that can't be read gets a row all the same: `check` then names it.
        return [
            part
            for folder, part in pairs
            if part.can_be_read or folder in tissues or find_images(folder)
        ]
    if holds_tissues:
        return [part for folder, part in pairs if folder in tissues]
    raise InputError(
        path,
        found=f"no folder that can be read ({whole.problem.rstrip('.')})",
        expected="an experiment, or experiments in its sub-folders",
        remedy="name the folder of one experiment",
    )


def _is_open(entry: Path) -> bool:
    return entry.is_dir() and not entry.name.startswith(".") and os.access(entry, os.R_OK | os.X_OK)


def propose(path: Path) -> Proposal:
    """Propose a row for one folder or file; a problem with it is part of the proposal.

    Parameters
    ----------
    path
        Folder or file of one experiment.
    """
    kind = kind_of(path)
    row = {"sample": name_for(path), "assay": kind.assay, "path": str(path)}
    found = [f"assay {kind.assay}: {kind.reason}"]
    if kind.is_raw:
        return _propose_raw(path, row, found)
    try:
        position, more = _first_position(path, kind)
        manifest = inspect(
            path, assay=kind.assay, options=InspectOptions(position=position or None)
        )
    except (InputError, OSError) as error:
        return Proposal(row, found, _columns_asked_for(error), str(error))
    told = told_by_names(path, manifest) if kind.assay == "movie" else []
    return _complete(Proposal(row, found + more, position=position), manifest, told)


def _propose_raw(path: Path, row: dict[str, Any], found: list[str]) -> Proposal:
    from cellsam_core.decoding.open_raw import open_raw

    try:
        raw = open_raw(path)
    except InputError as error:
        return Proposal(row, found, _columns_asked_for(error), str(error))
    height, width = raw.shape_yx
    return Proposal(row, [*found, f"{len(raw.fields)} fields of {height} x {width} px"])


def _first_position(path: Path, kind: Kind) -> tuple[str, list[str]]:
    """Return the first position of a movie of several, and a sentence about them."""
    if kind.assay != "movie":
        return "", []
    positions = positions_of(path)
    if len(positions) < 2:
        return "", []
    keys = [position.key for position in positions]
    shown = ", ".join(keys[:N_SHOWN]) + (", ..." if len(keys) > N_SHOWN else "")
    sentence = f"{len(keys)} positions, each becomes a sample of its own: {shown}"
    return keys[0], [sentence]


def _columns_asked_for(error: Exception) -> dict[str, str]:
    """Find the columns of the sheet that the remedy of a refusal names."""
    from cellsam_core.config.schema import sheet_schema

    columns = sheet_schema()["properties"]
    remedy = error.remedy if isinstance(error, InputError) else ""
    # Those of the images, and those of cells, not the columns.
    remedy = remedy.replace("the channels ", "").replace("their masks", "")
    words = remedy.replace("`", " ").replace("'", " ").split()
    names = [word.strip(".,") for word in words]
    asked = [name for name in dict.fromkeys(names) if name in columns and name not in ASIDE]
    return dict.fromkeys(asked, str(error))


ASIDE = ("sample", "assay", "path", "format", "condition")
"""Columns whose names are also plain words of an error message."""


def _complete(proposal: Proposal, manifest: Manifest, by_names: list[str]) -> Proposal:
    """Add what a manifest and names tell: size, scales and the channels to segment."""
    from cellsam_core.preprocessing.channels import RGB, choose_roles, is_fused, name_stains
    from cellsam_core.preprocessing.images import images_of_manifest

    row, found, to_fill = dict(proposal.row), list(proposal.found), dict(proposal.to_fill)
    height, width = manifest.shape_yx
    frames = f"{manifest.n_frames} frame(s) of " if manifest.assay == "movie" else ""
    found.append(f"{frames}{height} x {width} px, channels {', '.join(manifest.channels)}")
    found.append(_scale(manifest, "pixel_size_um", "um", "pixels"))
    if manifest.assay == "movie" and manifest.n_frames > 1:
        if manifest.frame_times_s and manifest.frame_interval_s is None:
            found.append("frame_interval_s: uneven, the time of each frame is in the files")
        else:
            found.append(_scale(manifest, "frame_interval_s", "s", "frames"))
    found += by_names
    if manifest.transcripts is not None:
        unit = words_of_unit(manifest.transcripts)
        found.append(f"{manifest.transcripts.n_rows} transcripts{unit}")
    notes = [sentence.rstrip(".") for sentence in manifest.warnings]
    try:
        roles = choose_roles(images_of_manifest(manifest), None, None)
    except InputError as error:
        listed = ", ".join(manifest.channels)
        sentence = f"the stain to segment is not clear from the names {listed}: write one of them"
        to_fill |= {"nuclear_channel": sentence, "cell_channel": sentence}
        found += notes
        return replace(proposal, row=row, found=found, to_fill=to_fill, problem=str(error))
    is_coloured = RGB in roles.values()
    for role, names in roles.items():
        if is_coloured or len(manifest.channels) == 1:
            # No column is filled: an empty one means both, the red and the grey of the colours.
            stain = name_stains(names)
            stain += " (red, which haematoxylin absorbs)" if names == RGB[:1] else ""
            stain += "" if is_coloured else ", as every channel that is alone"
            found.append(f"segmented as {role}: {stain}")
            if is_coloured and len(roles) == 1:
                found.append(
                    "nuclear_channel: write R, G or B if this colour is a nuclear stain, and the"
                    " colour of the cells as cell_channel"
                )
            continue
        row[f"{role}_channel"] = ",".join(names)
        told = "guessed from the name of the channel"
        told = "by the names of the kit's channels" if manifest.kit else told
        fused = ", fused" if is_fused(names) else ""
        found.append(f"{role}_channel {','.join(names)}: {told}{fused}")
    rest = [name for name in manifest.channels if [name] not in list(roles.values())]
    if manifest.assay == "movie" and len(rest) > 1 and not is_coloured:
        found.append(f"ratio: write NUM/DEN if two of {', '.join(rest)} are a ratiometric reporter")
    found += notes
    return replace(proposal, row=row, found=found, to_fill=to_fill)


def _scale(manifest: Manifest, column: str, unit: str, instead: str) -> str:
    value: float | None = getattr(manifest, column)
    if value is None:
        return f"{column}: not in the files; without it, results are in {instead}"
    return f"{column}: {value:g} {unit}, from the {manifest.sources.get(column, FILES)}"
