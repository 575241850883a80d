"""A few damaged inputs; `python tests/fuzz` runs hundreds of every kind, see docs/faults.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

KINDS = ["TIFF", "PNG", "zarr labels", "transcripts (csv)", "transforms", "manifest of a movie"]
KINDS += ["batches"]


def test_damaged_inputs_are_refused_or_read_as_they_stand():
    script = Path(__file__).resolve().parents[1] / "fuzz"
    command = [sys.executable, script, "--runs", "40", "--seed", "7", "--kinds", ",".join(KINDS)]
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "| all | 40 |" in result.stdout
