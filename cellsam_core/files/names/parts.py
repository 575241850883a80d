"""Time, channel, position and z plane of images by their names.

What a piece of a name means is told by what it looks like (``t001``, ``w1DAPI``, ``B02``,
``00d12h30m``) and by what it varies with. A piece that nothing tells is never a channel: names
are refused then, with a pattern that the user completes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.names.assembly import assemble_names, number_clocks
from cellsam_core.files.names.named_images import NamedImage, NamedImages
from cellsam_core.files.names.pattern import compile_pattern, first_guess, read_pattern
from cellsam_core.files.names.refusals import (
    mixed_names,
    refuse_channels,
    refuse_strays,
    refuse_twins,
    refuse_unclear,
)
from cellsam_core.files.names.roles import find_roles
from cellsam_core.files.names.schemes import (
    archive_clock,
    folder_times,
    match_scheme,
    split_foreign,
)
from cellsam_core.files.names.tokens import GUID, align

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def parse_names(
    paths: Sequence[Path],
    root: Path | None = None,
    *,
    pattern: str | None = None,
    channels: Iterable[str] = (),
) -> NamedImages:
    """Find out what the names of images, and of their folders, say.

    Parameters
    ----------
    paths
        At least one file.
    root
        Folder above all of them; names of folders below it count. None takes that of the first.
    pattern
        Says what is what, such as ``img_{time}_{channel}_{z}``; names that do not fit are left
        out.
    channels
        Names that are known to be those of channels.

    Returns
    -------
    NamedImages
        In the order of `paths`, without a few whose names a program did not give.

    Raises
    ------
    InputError
        The names do not tell; the remedy has a pattern, made from the first name.
    """
    root = root or paths[0].parent
    names = [relative_name(path, root) for path in paths]
    if pattern is not None:
        return _by_pattern(root, list(paths), names, pattern)
    fitting, others = split_foreign([name[-1] for name in names])
    if others:
        named = parse_names([paths[i] for i in fitting], root, channels=channels)
        sentence = (
            f"{len(others)} image(s) do not have the names of the others and are not read,"
            f" {paths[others[0]].name} among them."
        )
        return replace(named, warnings=[*named.warnings, sentence])
    columns = match_scheme([name[-1] for name in names], len(names[0]) - 1)
    n_levels = len(names[0]) - (columns is not None)
    if any(len(name) != len(names[0]) for name in names):
        raise mixed_names(root, names)
    clock = archive_clock(["/".join(name[:-1]) for name in names])
    levels = range(n_levels) if clock is None else range(len(names[0]) - 2, n_levels)
    folders = [c for i in levels for c in align([name[i] for name in names], i)]
    if folders:
        folders[-1] = folder_times(folders[-1], [name[-1] for name in names])
    columns = ([] if clock is None else [clock]) + folders + (columns or [])
    roles = find_roles(columns, set(channels))
    images = assemble_names(paths, columns, roles)
    guess = first_guess(names[0], columns, roles)
    refuse_unclear(root, names, columns, roles, guess)
    refuse_strays(root, names, columns, roles)
    refuse_channels(root, names, images, columns, roles, guess)
    refuse_twins(images)
    return NamedImages(images)


def split_parts(paths: Sequence[Path]) -> list[NamedImage]:
    """Order the files of a movie that a program has split: ``a``, ``a_1``, ``a-file002``.

    Parameters
    ----------
    paths
        Files of one folder.

    Returns
    -------
    list of NamedImage
        With the number of the part as that of the frame; empty if the names are not such.

    Examples
    --------
    >>> from pathlib import Path
    >>> parts = split_parts([Path("a_1.tif"), Path("a.tif"), Path("a_2.tif")])
    >>> [(part.path.name, part.frame) for part in parts]
    [('a.tif', 0), ('a_1.tif', 1), ('a_2.tif', 2)]
    """
    from cellsam_core.files.filenames import image_stem

    stems = {image_stem(path): path for path in paths}
    base = min(stems, key=len)
    numbers: dict[int, Path] = {}
    for stem, path in stems.items():
        number = re.fullmatch(rf"{re.escape(base)}[_\- ](?:file|part)?\(?(\d+)\)?", stem)
        if number:
            numbers[int(number[1])] = path
    if len(numbers) != len(paths) - 1 or not numbers:
        return []
    parts = {min(numbers) - 1: stems[base]} | numbers
    return [NamedImage(parts[number], number) for number in sorted(parts)]


def relative_name(path: Path, root: Path) -> tuple[str, ...]:
    """Names of the folders below `root` and of the image, without suffix and random digits."""
    from cellsam_core.files.filenames import image_stem

    return (*path.parent.relative_to(root).parts, GUID.sub("", image_stem(path)))


def _by_pattern(
    root: Path, paths: list[Path], names: list[tuple[str, ...]], pattern: str
) -> NamedImages:
    """Read names as the user says; those that do not fit are left out, with a warning."""
    expression = compile_pattern(pattern)
    found = [read_pattern(expression, pattern, path, root) for path in paths]
    fitting = [(p, f) for p, f in zip(paths, found, strict=True) if f is not None]
    if not fitting:
        guess = guess_pattern(paths, root)
        raise InputError(
            root,
            found=f"no image name that fits the pattern {pattern} ({names[0][-1]})",
            expected="names that fit",
            remedy=f"correct the column `pattern`, for example to {guess}",
        )
    images = [
        NamedImage(
            path,
            None if "time" not in parts else int(parts["time"]),
            parts.get("channel"),
            str(parts.get("position", "")),
            str(parts.get("well", "")),
            None if "z" not in parts else int(parts["z"]),
            parts.get("time_s"),
        )
        for path, parts in fitting
    ]
    images = number_clocks(images)
    refuse_twins(images)
    n_left = len(paths) - len(fitting)
    if not n_left:
        return NamedImages(images)
    example = next(p.name for p, f in zip(paths, found, strict=True) if f is None)
    sentence = f"{n_left} image(s) do not fit the pattern and are not read, {example} among them."
    return NamedImages(images, [sentence])


def guess_pattern(paths: Sequence[Path], root: Path | None = None) -> str:
    """Make a pattern that fits the first name, from what varies between the names.

    Examples
    --------
    >>> from pathlib import Path
    >>> guess_pattern([Path("a1x1.tif"), Path("a1x2.tif")])
    'a1x{time}'
    """
    root = root or paths[0].parent
    names = [relative_name(path, root) for path in paths]
    names = [name for name in names if len(name) == len(names[0])]
    columns = [c for i in range(len(names[0])) for c in align([name[i] for name in names], i)]
    return first_guess(names[0], columns, find_roles(columns, set()))
