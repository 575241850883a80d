"""Tests of `--help`: its content, and that it starts without slow imports."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from cellsam_core.cli import COMMANDS, main
from cellsam_core.cli.groups import GROUPS

HELP = """
import sys
from cellsam_core.cli import main
try:
    main(["--help"])
except SystemExit:
    print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_help_imports_nothing_heavy():
    result = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, check=True
    )
    imported = set(result.stdout.splitlines()[-1].split())
    assert "cellsam_core" in imported
    assert not imported & {"torch", "numpy", "pandas", "pyarrow", "zarr", "skimage", "scipy"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_explained(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: cellsam-core {command}")
    assert "None" not in text
    assert re.findall(r"\(default:\s(?:|\[\]|\{\}|True|False)\)", text) == []


def test_every_command_stands_in_a_group():
    names = [name for group in GROUPS.values() for name in group]
    assert sorted(names) == sorted(COMMANDS)


def test_a_file_that_the_system_does_not_give_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from cellsam_core.cli import weights

    def fail(args: object) -> None:
        raise OSError(5, "Input/output error", "/data/frame.tif")

    monkeypatch.setattr(weights, "run", fail)
    assert main(["weights", "list"]) == 1
    message = capsys.readouterr().err
    assert "/data/frame.tif: found Input/output error" in message
    assert "Traceback" not in message
