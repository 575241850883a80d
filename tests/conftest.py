from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data with ground truth; it does not travel with the repository."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data is absent: no folder {folder.name!r} beside the repository")
    return folder


@pytest.fixture(scope="session")
def shown_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A movie, a tissue and a sample of a hostile name; tests that change them copy them first."""
    from view_results import write_results

    return write_results(tmp_path_factory.mktemp("view") / "results")
