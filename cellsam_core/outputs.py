"""Output files and their columns, defined once.

A stage declares the files that it writes in ``<stage>/columns.py``. ``docs/outputs.md``, the
metadata of Parquet files and ``uns["columns"]`` of ``cells.h5ad`` are made from it, and a test
compares it with the files of whole runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

Kind = Literal["movie", "tissue", "raw rounds", "any sample", "several samples"]

TYPES = {
    "text": ("string", "dictionary<values=string, indices=int32, ordered=0>"),
    "bool": ("bool",),
    "wkb": ("binary",),
}
"""Names in Arrow of types that are written otherwise here; all others have Arrow's names."""
PLACEHOLDER = re.compile(r"<[a-z_]+>")


@dataclass(frozen=True)
class Column:
    """One column of a table, or one key of a JSON file.

    Attributes
    ----------
    name
        Name; a part in angle brackets, such as ``<channel>``, stands for any text.
    type
        ``text``, ``bool``, ``wkb``, or the name of a number in Arrow, such as ``uint32``. Columns
        of csv files have ``text``, ``bool``, ``int`` or ``float``.
    text
        Meaning, as a sentence without its full stop.
    unit
        Unit; empty for a column that has none.
    missing
        Mark of a value that is not known, with the reason; empty if there is always a value.
    when
        Condition for the column to be there; empty if it always is.
    since
        Version of the package that first wrote it.
    """

    name: str
    type: str
    text: str
    unit: str = ""
    missing: str = ""
    when: str = ""
    since: str = "0.1.0"

    def fits(self, name: str) -> bool:
        """Tell whether a name is that of this column."""
        if "<" not in self.name:
            return name == self.name
        parts = map(re.escape, PLACEHOLDER.split(self.name))
        return re.fullmatch("(.+)".join(parts), name, re.DOTALL) is not None

    @property
    def metadata(self) -> dict[str, str]:
        """Description for the metadata of a file."""
        found = {"description": self.text, "unit": self.unit, "missing": self.missing}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True)
class Output:
    """One output file, or one part of a file such as ``obs`` of ``cells.h5ad``.

    Attributes
    ----------
    path
        Path below the folder of the sample (below ``results`` for files of several samples).
    samples
        Kind of samples that have the file.
    text
        Contents, as a sentence.
    columns
        Columns in the order of the file; empty for images and other files without columns.
    part
        Part of the file that the columns are of; empty for the whole file.
    when
        Condition for the file to be there; empty if it always is.
    """

    path: str
    samples: Kind
    text: str
    columns: tuple[Column, ...] = ()
    part: str = ""
    when: str = ""

    def find(self, name: str) -> Column | None:
        """Return the column of a name; one without a placeholder goes first."""
        exact = [column for column in self.columns if column.name == name]
        return next(iter(exact or [c for c in self.columns if c.fits(name)]), None)

    def faults(self, found: Iterable[str]) -> list[str]:
        """Compare the names in a file with the declared ones.

        Parameters
        ----------
        found
            Names of the columns of a file, or keys of a JSON file.

        Returns
        -------
        list of str
            One sentence for each column that is not declared or not there; empty if all agree.
        """
        where = f"{self.path} {self.part}".strip()
        names = list(found)
        wrong = [f"{where}: {name} is not declared" for name in names if self.find(name) is None]
        return wrong + [
            f"{where}: {column.name} is missing"
            for column in self.columns
            if not column.when and not any(column.fits(name) for name in names)
        ]

    def described(self, schema: pa.Schema) -> pa.Schema:
        """Add meaning and unit of each column to the schema of a Parquet file."""
        import pyarrow as pa

        fields = []
        for item in schema:
            column = self.find(item.name)
            fields.append(item if column is None else item.with_metadata(column.metadata))
        return pa.schema(fields, schema.metadata)

    def wrong_types(self, schema: pa.Schema) -> Iterator[str]:
        """Yield a sentence for each column of a Parquet file whose type is not the declared one."""
        for item in schema:
            column = self.find(item.name)
            if column and str(item.type) not in TYPES.get(column.type, (arrow_name(column.type),)):
                yield f"{self.path}: {item.name} is {item.type}, not {column.type}"


def arrow_name(name: str) -> str:
    """Return the name in which Arrow prints a type of number."""
    return {"float64": "double", "float32": "float"}.get(name, name)


SAMPLE = Column("sample", "text", "Name of the sample", missing="empty if a file has no name")
"""Last column of the tables of one sample, so that tables of several samples can be joined."""
