from __future__ import annotations

import pytest

from cellsam_core.io.atomic import atomic_path


def test_file_appears_when_complete(tmp_path):
    final = tmp_path / "new" / "a.csv"
    with atomic_path(final) as temporary:
        temporary.write_text("x")
        assert temporary.suffix == ".csv"
        assert not final.exists()
    assert final.read_text() == "x"
    assert list(final.parent.iterdir()) == [final]


def test_error_leaves_the_old_file_and_no_temporary(tmp_path):
    final = tmp_path / "a.csv"
    final.write_text("old")

    def fail():
        with atomic_path(final) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert final.read_text() == "old"
    assert list(tmp_path.iterdir()) == [final]


def test_folder_is_replaced_whole(tmp_path):
    final = tmp_path / "a.zarr"
    final.mkdir()
    (final / "old").touch()
    with atomic_path(final) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [p.name for p in final.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [final]
