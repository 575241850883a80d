"""The notebooks of the documents run from top to bottom."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.workflow
DOCS = Path(__file__).resolve().parents[2] / "docs"
NEEDED = {"notebook_movie": (), "notebook_tissue": ("squidpy", "scanpy", "geopandas")}


@pytest.mark.parametrize(("name", "n_pictures"), [("notebook_movie", 2), ("notebook_tissue", 4)])
def test_the_notebook_runs(tmp_path: Path, name: str, n_pictures: int):
    for package in NEEDED[name]:
        pytest.importorskip(package, reason=f"{package} is not installed")
    notebook = nbformat.read(DOCS / f"{name}.ipynb", as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=place).execute()
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == n_pictures
    assert not list(tmp_path.iterdir()), "the notebook writes nothing beside it"
