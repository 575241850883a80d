"""``snakemake finetune`` is a target of its own, outside of the samples."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Snakemake, jobs

pytestmark = pytest.mark.workflow


def test_the_folder_reaches_the_command(snakemake: Snakemake, tmp_path: Path):
    (tmp_path / "my cells").mkdir()
    result = snakemake("-n", "-p", "finetune", "--config", "finetune_data=my cells")
    assert jobs(result) == {"finetune": 1}
    assert (
        "cellsam_core finetune 'my cells' -o results/finetune/weights.safetensors" in result.stdout
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "name a folder"), (["--config", "finetune_data=none"], "there is no folder none")],
)
def test_a_missing_folder_is_named(snakemake: Snakemake, options: list[str], said: str):
    result = snakemake("-n", "finetune", *options)
    assert result.returncode == 1
    assert f"config, finetune_data: {said}" in result.stdout
