"""Runs this workflow as users do: Snakemake in a process of its own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Result = subprocess.CompletedProcess[str]
Snakemake = Callable[..., Result]


def run_snakemake(
    directory: Path, *arguments: str | Path, environment: Mapping[str, str] = os.environ
) -> Result:
    """Run Snakemake with the tests' Python, in the working directory `directory`."""
    python = Path(sys.executable)
    return subprocess.run(
        snakemake_command(directory, *arguments),
        cwd=directory,
        env={**environment, "PATH": f"{python.parent}{os.pathsep}{environment['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def snakemake_command(directory: Path, *arguments: str | Path) -> list[str]:
    """Words of a command that runs this workflow in `directory`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    return [str(word) for word in (*command, "--directory", directory, "--cores", "2", *arguments)]


def detailed(directory: Path) -> list[str]:
    """Options of a dry run that lists the input files of each job instead of its message."""
    snakefile = directory / "Snakefile.detailed"
    lines = [f'include: "{ROOT / "Snakefile"}"', "for each in workflow.rules:"]
    lines += ["    each.message = None", 'workflow.default_target = "all"']
    snakefile.write_text("\n".join(lines) + "\n")
    return ["-n", "-p", "--snakefile", str(snakefile)]


def jobs(dry_run: Result) -> dict[str, int]:
    """Job counts of a dry run, without ``total``."""
    assert dry_run.returncode == 0, dry_run.stdout
    table = dry_run.stdout.partition("Job stats:")[2].partition("\n\n")[0]
    counts = {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    assert counts.pop("total", 0) == sum(counts.values())
    return counts


def same_samples(finished: Path, directory: Path) -> Path:
    """Make a working directory with the samples of another, less the quote in their path."""
    shutil.copytree(finished / "config", directory / "config")
    (raw,) = finished.glob("raw*")
    name = raw.name.replace("'", "")
    shutil.copytree(raw, directory / name)
    sheet = directory / "config" / "samples.tsv"
    sheet.write_text(sheet.read_text().replace(raw.name, name))
    return directory


def lasting(folder_digests: Mapping[str, str]) -> dict[str, str]:
    """Leave out the report, which shows run times, and Snakemake's own files."""
    changing = ("report.html", ".snakemake_timestamp")
    return {name: sha for name, sha in folder_digests.items() if Path(name).name not in changing}


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
