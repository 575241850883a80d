"""Groups of commands, in the order in which `cellsam-core --help` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUPS = {
    "first steps": ("init", "check", "preview", "simulate", "completion"),
    "look and correct": ("view", "corrections", "correct", "collect"),
    "stages": (
        *("inspect", "decode", "preprocess", "segment", "import-masks", "pair", "track"),
        *("traces", "assign", "compare-vendor", "spatialdata", "export", "report"),
    ),
    "several samples": ("overview", "summarise", "compare-samples"),
    "weights and scores": ("weights", "finetune", "evaluate", "benchmark", "split", "train"),
    "called by the workflow": (
        "align-colours",
        "decode-batch",
        "join-fields",
        "segment-batch",
        "stitch",
    ),
}


def command_list(commands: Mapping[str, str]) -> str:
    """List all commands by groups, each with its line of help.

    Parameters
    ----------
    commands
        Command to its line of help.
    """
    width = max(map(len, commands)) + 2
    lines = []
    for group, names in GROUPS.items():
        there = [name for name in names if name in commands]
        lines += [f"{group}:"] if there else []
        lines += [f"  {name:<{width}}{commands[name]}" for name in there]
    example = "example: cellsam-core init /data/2026_03_01 -o my_project"
    more = "cellsam-core COMMAND --help explains a command."
    status = "Exit status: 0 done, 1 the data can't be used, 2 wrong usage."
    return "\n".join([*lines, "", example, more, status])
