"""``snakemake finetune`` is a target of its own, outside of the samples."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Snakemake, detailed, jobs

pytestmark = pytest.mark.workflow


def test_the_folder_reaches_the_command(snakemake: Snakemake, tmp_path: Path):
    (tmp_path / "my cells").mkdir()
    (tmp_path / "my cells" / "a_label.tif").touch()
    config = ["finetune_data=my cells", "segment={device: cpu}"]
    result = snakemake("finetune", *detailed(tmp_path), "--config", *config)
    assert jobs(result) == {"finetune": 1}
    command = "finetune 'my cells' --device cpu -o results/finetune/weights.safetensors"
    assert f"cellsam_core {command}" in result.stdout
    # An input: a label that is corrected is learnt.
    assert "input: my cells, my cells/a_label.tif" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "name a folder"), (["--config", "finetune_data=none"], "there is no folder none")],
)
def test_a_missing_folder_is_named(snakemake: Snakemake, options: list[str], said: str):
    result = snakemake("-n", "finetune", *options)
    assert result.returncode == 1
    assert f"config, finetune_data: {said}" in result.stdout
