"""A disk that fills up and a disk that is read-only during a whole run, then the repair."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from harness import digests, lasting, snakemake_command

pytestmark = pytest.mark.workflow

# Runs a command while the results lie on a disk in memory, in three states that nobody else sees.
THREE_STATES = """
import json, subprocess, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from harness import digests
results, command = Path(sys.argv[2]), json.loads(sys.argv[3])
def mount(*options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", results], check=True)
mount("size=512k")
states = {}
for state, options in (
    ("full", ()), ("read-only", ("remount", "ro")), ("repaired", ("remount", "rw", "size=256m"))
):
    if options:
        mount(*options)
    run = subprocess.run(command, cwd=results.parent, text=True, stdout=-1, stderr=-2)
    states[state] = {"status": run.returncode, "said": run.stdout, "files": digests(results)}
json.dump(states, sys.stdout)
"""


@pytest.fixture(scope="module")
def states(finished: Path) -> dict[str, dict[str, object]]:
    """Exit status, output and files of a run in each of the three states."""
    script = [sys.executable, "-c", THREE_STATES, Path(__file__).parent, finished / "results"]
    words = [*script, json.dumps(snakemake_command(finished, "--keep-going"))]
    result = subprocess.run(
        ["unshare", "--mount", "--map-root-user", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in result.stderr or "mount:" in result.stderr:
        pytest.skip(f"no private file system can be mounted here: {result.stderr.strip()}")
    assert result.returncode == 0, result.stderr
    found: dict[str, dict[str, object]] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(
    ("state", "reason"),
    [("full", "No space left on device"), ("read-only", "Read-only file system")],
)
def test_the_run_ends_with_a_sentence_and_no_half_of_a_file(states, state, reason):
    found = states[state]
    assert found["status"] == 1
    assert reason in found["said"], found["said"]
    said = [line for line in found["said"].splitlines() if line.startswith("cellsam-core ")]
    assert bool(said) == (
        state == "full"
    )  # Snakemake makes the folders, and says it where it can't
    assert all(reason in line for line in said), said
    assert "Traceback" not in found["said"]
    assert [name for name in found["files"] if "/." in name and "snakemake" not in name] == []


def test_the_same_command_goes_on_after_the_repair_and_nothing_differs(states, finished):
    found = states["repaired"]
    assert found["status"] == 0, found["said"]
    assert lasting(found["files"]) == lasting(digests(finished / "results"))
    # What was complete before the disk filled up was not made again.
    assert {"inspect"} <= set(states["full"]["said"].split()) - set(found["said"].split())
