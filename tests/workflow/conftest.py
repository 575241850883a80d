from __future__ import annotations

import functools
from pathlib import Path

import pytest
from harness import Snakemake, run_snakemake


@pytest.fixture
def snakemake(tmp_path: Path) -> Snakemake:
    """Snakemake on this workflow in a working directory of its own, `tmp_path`."""
    return functools.partial(run_snakemake, tmp_path)
