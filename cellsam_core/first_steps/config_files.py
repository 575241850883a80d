"""Config files as Snakemake reads them: the config of the folder, then files that change keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cellsam_core.config.sheet import Config, load_config
from cellsam_core.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = Path("config/config.yaml")


def read_config(configfiles: Sequence[str | Path], folder: str | Path) -> Config:
    """Read config and sample sheet of a project.

    Parameters
    ----------
    configfiles
        Config files that change keys of ``config/config.yaml``, the last one wins.
    folder
        Folder in which Snakemake runs.

    Raises
    ------
    InputError
        There is no config and no sheet, or a key, a column or a value is wrong.
    """
    root = Path(folder)
    files = [*([root / OWN] if (root / OWN).exists() else []), *map(Path, configfiles)]
    given: dict[str, Any] = {}
    for path in files:
        _merge(given, _read(path))
    return load_config(given, [root])


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            path,
            found=f"no config that can be read ({first_line(error)})",
            expected="keys and values in YAML, as in config/config.yaml of cellsam_core",
            remedy="correct the file, or its path",
        ) from error
    if not isinstance(content, dict | None):
        raise InputError(
            path,
            found=type(content).__name__,
            expected="keys and values",
            remedy="write `key: value` in each line",
        )
    return content or {}


def _merge(given: dict[str, Any], more: dict[str, Any]) -> None:
    """Put keys over others; those of a section are put one by one."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(given.get(key), dict):
            given[key] = given[key] | value
        else:
            given[key] = value
