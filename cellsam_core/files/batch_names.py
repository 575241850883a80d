"""Names of batches, ``K-of-N``: shares of a sample's work that separate jobs do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = re.compile(r"(\d+)-of-(\d+)")


def parse_batch(text: str) -> tuple[int, int]:
    """Read the number of a batch and the number of batches from ``K-of-N``.

    Raises
    ------
    InputError
        The text has another form, or K is not from 1 to N.
    """
    match = NUMBER.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(
            "option `batch`",
            found=repr(text),
            expected="K-of-N with K from 1 to N",
            remedy="correct it",
        )
    return int(match[1]), int(match[2])


def share_of(n_items: int, batch: int, n_batches: int) -> range:
    """Return the contiguous share of the items that belongs to batch 1..n_batches."""
    return range((batch - 1) * n_items // n_batches, batch * n_items // n_batches)


def sort_batches(paths: list[Path], command: str) -> list[Path]:
    """Sort batches by number and refuse gaps: a missing batch would silently lose results.

    Parameters
    ----------
    paths
        Files or folders of batches.
    command
        Name of the command that writes them.

    Raises
    ------
    InputError
        A file has no number, a batch is missing or given twice, or numbers of batches differ.
    """
    numbered: dict[int, Path] = {}
    n_batches = 0
    for path in paths:
        match = NUMBER.fullmatch(path.stem)
        if match is None or int(match[1]) in numbered:
            raise InputError(
                path,
                found="no batch number" if match is None else "a batch given twice",
                expected=f"names K-of-N{path.suffix}, each once",
                remedy=f"give the batches as `{command}` wrote them",
            )
        numbered[int(match[1])] = path
        n_batches = n_batches or int(match[2])
        if int(match[2]) != n_batches:
            # Each N deals the work out differently, so that some would be missing.
            raise InputError(
                path,
                found=f"one of {match[2]} batches beside {paths[0].name}, one of {n_batches}",
                expected=f"names K-of-N{path.suffix} with one N",
                remedy=f"give the batches that were written with one N, and run `{command}` for"
                " what is missing",
            )
    if set(numbered) != set(range(1, n_batches + 1)):
        raise InputError(
            paths[0].parent,
            found=f"the batches {', '.join(numbered[k].stem for k in sorted(numbered))}",
            expected=f"all of 1-of-{n_batches} to {n_batches}-of-{n_batches}",
            remedy=f"run `{command}` for what is missing first",
        )
    return [numbered[k] for k in sorted(numbered)]
