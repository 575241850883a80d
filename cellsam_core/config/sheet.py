"""Config and sample sheet, read and checked before anything runs."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from cellsam_core.config.assays import (
    MOVIES_ONLY,
    RAW_ROUNDS_ONLY,
    TISSUES_ONLY,
    refuse_unit_of_nothing,
    refuse_unused,
)
from cellsam_core.config.cells import read_cells
from cellsam_core.config.schema import (
    SECTIONS,
    WORKFLOW_DEFAULTS,
    check_settings,
    config_schema,
    finds_nuclei,
    sheet_schema,
)
from cellsam_core.config.values import check_schema, typed, typed_cells
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Row = dict[str, Any]


@dataclass(frozen=True)
class Config:
    """Options of a run: the sample sheet wins over the config, the config over the defaults.

    Attributes
    ----------
    sheet
        Path of the sample sheet.
    samples
        Name of each sample to the filled cells of its row, with their types.
    given
        Keys of the config that are given, with their types.
    left_out
        Names of the samples of the sheet that the key ``without`` leaves out of the run.
    """

    sheet: Path
    samples: dict[str, Row]
    given: Row
    left_out: tuple[str, ...] = ()

    def value(self, key: str) -> Any:
        """Return a key of the config that belongs to no section, or its default."""
        return self.given.get(key, WORKFLOW_DEFAULTS[key])

    def section(self, name: str) -> Row:
        """Return the options of one stage without regard to samples."""
        given: Row = self.given.get(name, {})
        return SECTIONS[name].defaults | given

    def settings(self, sample: str, section: str) -> Row:
        """Return the options of one stage for one sample."""
        values = self.section(section)
        return values | {k: v for k, v in self.samples[sample].items() if k in values}

    def given_nuclei(self, sample: str) -> str | None:
        """Return the nuclei that the user gives for a sample, as the sheet writes them."""
        nuclei: str | None = self.settings(sample, "assign")["nuclei"]
        return nuclei

    def sections_of(self, sample: str, *, is_raw: bool) -> dict[str, Row]:
        """Return the options of all stages that a sample goes through."""
        skipped: tuple[str, ...] = (
            TISSUES_ONLY if self.samples[sample]["assay"] == "movie" else MOVIES_ONLY
        )
        skipped += () if is_raw else RAW_ROUNDS_ONLY
        return {name: self.settings(sample, name) for name in SECTIONS if name not in skipped}

    def path_of(self, sample: str, column: str, text: str) -> str:
        """Return the file or folder that a column names; a relative path starts at the sheet.

        Raises
        ------
        InputError
            There is no such file or folder.
        """
        path = os.path.normpath(self.sheet.parent / text)
        if not os.path.exists(path):  # noqa: PTH110 - the path is made by os.path above
            raise InputError(
                f"{self.sheet}, sample {sample!r}, {column}",
                found=f"no file or folder {path}",
                expected="a path that exists; a relative one starts at the sample sheet",
                remedy="correct the cell",
            )
        return path

    def tissues(self) -> list[str]:
        """Return the names of the samples with transcripts."""
        return [name for name, row in self.samples.items() if row["assay"] != "movie"]

    def movies(self) -> list[str]:
        """Return the names of the movies."""
        return [name for name, row in self.samples.items() if row["assay"] == "movie"]

    def compared_movies(self) -> list[str]:
        """Return the names of the movies with a ratio and a condition."""
        return [
            name
            for name in self.movies()
            if "condition" in self.samples[name] and self.settings(name, "traces")["ratio"]
        ]


def load_config(given: Mapping[str, Any], folders: Sequence[Path]) -> Config:
    """Read the sample sheet that a config names and check both.

    Parameters
    ----------
    given
        The config as YAML has it; values may be text where they come from the command line.
    folders
        Where a relative path of the sample sheet may start.

    Raises
    ------
    InputError
        A key, a column or a value is wrong, or two contradict each other.
    """
    schema = config_schema()["properties"]
    values = {
        key: (
            typed(value, schema[key]["properties"])
            if key in SECTIONS and isinstance(value, dict)
            else typed({key: value}, schema)[key]
        )
        for key, value in given.items()
        if value is not None
    }
    check_schema(values, config_schema(), "config")
    path = find_sheet(values.get("samples", schema["samples"]["default"]), folders)
    config = Config(path, read_samples(path), values)
    _check_options(config)
    _check_controls(config)
    _check_targets(config)
    _check_columns(config)
    return _leave_out(config)


def find_sheet(path: str, folders: Sequence[Path]) -> Path:
    """Look for the sample sheet in the given folders, in this order."""
    places = [folder / path for folder in folders]
    for place in places:
        if place.is_file():
            return place
        if place.exists():  # not passed over: the sheet of the next folder is another one
            raise InputError(
                "config, samples",
                found=f"a folder {place.absolute()}",
                expected="the sample sheet, which is a file",
                remedy="name the sheet in the folder, such as samples.tsv",
            )
    found = " or ".join(str(place.absolute()) for place in dict.fromkeys(places))
    raise InputError(
        "config, samples",
        found=f"no file {found}",
        expected="the sample sheet",
        remedy="name your sample sheet",
    )


def read_samples(path: Path) -> dict[str, Row]:
    """Read and check the sample sheet; any key of a config section may be a column."""
    schema = sheet_schema()
    for section in SECTIONS.values():
        schema["properties"] |= section.properties
    samples: dict[str, Row] = {}
    for number, cells in read_cells(path, schema["properties"]):
        where = f"{path}, row {number}"
        row = typed_cells(cells, schema["properties"], where)
        check_schema(row, schema, f"{where}, sample {cells.get('sample', '?')!r}", "column ")
        for own in _positions_of(path, row):
            check_schema(own, schema, f"{where}, sample {own['sample']!r}", "column ")
            if own["sample"] in samples:
                raise InputError(
                    f"{where}, sample {own['sample']!r}",
                    found="the name twice",
                    expected="a different name in every row",
                    remedy="rename one of the samples",
                )
            samples[own["sample"]] = own
    if not samples:
        raise InputError(
            path,
            found="no samples",
            expected="one row for each experiment",
            remedy="add a row",
        )
    return samples


def _positions_of(path: Path, row: Row) -> list[Row]:
    """Make a row of each position of a movie; see :func:`.positions.expand_row`."""
    if row["assay"] != "movie":
        return [row]
    from cellsam_core.samples.positions import expand_row  # only movies wait for its imports

    where = f"{path}, sample {row['sample']!r}"
    try:
        rows = expand_row(row, path.parent, strict=False)
    except InputError as error:
        raise InputError.within(where, error) from error
    for column, thing in (
        ("corrections", "table"),
        ("cell_corrections", "table"),
        ("masks", "file or folder"),
        ("nuclei", "file or folder"),
    ):
        if len(rows) > 1 and column in row:
            raise InputError(
                f"{where}, {column}",
                found=f"one {thing} for {len(rows)} positions",
                expected=f"a {thing} for each position, because each is a sample",
                remedy=f"give each position that has {column} a row with its name in the column"
                f" `position`, such as {rows[0]['position']}",
            )
    return rows


def _check_options(config: Config) -> None:
    """Refuse options of a sample that contradict each other."""
    for name, row in config.samples.items():
        sections = config.sections_of(name, is_raw=row["assay"] != "movie")
        try:
            check_settings(sections)
        except InputError as error:
            raise InputError.within(f"sample {name!r}", error) from error
        traces = sections.get("traces", {})
        is_pair = traces.get("ratio") is None or fnmatch(str(traces["ratio"]), "?*/?*")
        if traces.get("reporter") == "ratiometric" and not is_pair:
            raise InputError(
                f"sample {name!r}, ratio",
                found=repr(traces["ratio"]),
                expected="NUM/DEN, the names of two channels",
                remedy="name two channels, or set `reporter` to ktr",
            )


def _check_controls(config: Config) -> None:
    """Refuse a control that is no other movie, or that has a control itself."""
    movies = config.movies()
    for name in movies:
        control = config.settings(name, "traces")["control"]
        if control is None:
            continue
        positions = [other for other in movies if other.startswith(f"{control}-")]
        if control not in movies and positions:
            raise InputError(
                f"{config.sheet}, sample {name!r}, control",
                found=f"{control!r}, which has {len(positions)} positions",
                expected="one untreated movie, because its bleaching is divided out",
                remedy=f"name one of them, such as {positions[0]}",
            )
        if control not in movies or config.settings(control, "traces")["control"] is not None:
            raise InputError(
                f"{config.sheet}, sample {name!r}, control",
                found=repr(control),
                expected="a movie sample without a control of its own",
                remedy="name an untreated movie, in the treated samples' rows only",
            )


def _leave_out(config: Config) -> Config:
    """Leave out the samples that the key ``without`` names."""
    text = config.value("without") or ""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := [name for name in names if name not in config.samples]:
        raise InputError(
            "config, without",
            found=repr(unknown[0]),
            expected=f"names of samples of {config.sheet}",
            remedy="correct the name, or remove it",
        )
    for name in config.movies():
        control = config.settings(name, "traces")["control"]
        if control in names and name not in names:
            raise InputError(
                "config, without",
                found=f"the control {control!r} without sample {name!r}, which needs it",
                expected="the samples of a control left out together with it",
                remedy=f"add {name} to the key `without`",
            )
    kept = {name: row for name, row in config.samples.items() if name not in names}
    if not kept:
        raise InputError(
            "config, without",
            found="all samples",
            expected="at least one sample that is run",
            remedy="remove a name from the key `without`",
        )
    return replace(config, samples=kept, left_out=names)


def _check_targets(config: Config) -> None:
    """Refuse nuclei to be found where nothing is segmented, and nuclei that nothing would read."""
    for name, row in config.samples.items():
        is_paired = finds_nuclei(config.settings(name, "segment"))
        if is_paired and "masks" in row and config.given_nuclei(name) is None:
            raise InputError(
                f"sample {name!r}, targets",
                found=f"nucleus,cell beside the masks {row['masks']}",
                expected="the nuclei of these cells as well, because nothing is segmented",
                remedy="fill the column `nuclei`, write cell into the column `targets` of this"
                " sample, or leave its masks out",
            )
        if not is_paired and "nuclei" in row and row["assay"] == "movie":
            raise InputError(
                f"{config.sheet}, sample {name!r}, nuclei",
                found=f"{row['nuclei']} for a movie whose `targets` is cell",
                expected="nuclei that are paired with cells: a movie has no other use for them",
                remedy="write nucleus,cell into the column `targets` of this sample, or leave its"
                " nuclei out",
            )


def _check_columns(config: Config) -> None:
    """Refuse cells of the sheet that would have no effect."""
    for name, row in config.samples.items():
        where = f"{config.sheet}, sample {name!r}"
        refuse_unused(where, row)
        has_nuclei = config.given_nuclei(name) is not None
        refuse_unit_of_nothing(where, row, has_nuclei=has_nuclei)
