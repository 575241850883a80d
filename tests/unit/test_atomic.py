from __future__ import annotations

import pytest

from cellsam_core.errors import InputError
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
    for name in ("zarr.json", "old"):
        (final / name).touch()
    with atomic_path(final) as temporary:
        temporary.mkdir()
        for name in ("zarr.json", "new"):
            (temporary / name).touch()
    assert sorted(p.name for p in final.iterdir()) == ["new", "zarr.json"]
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.parametrize("new_is_folder", [False, True])
def test_a_folder_with_other_content_is_never_replaced(tmp_path, new_is_folder):
    precious = tmp_path / "home" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years")

    def write():
        with atomic_path(precious.parent) as temporary:
            if new_is_folder:
                temporary.mkdir()
                (temporary / "zarr.json").touch()
            else:
                temporary.touch()

    with pytest.raises(InputError, match="choose another output"):
        write()
    assert precious.read_text() == "years"
    assert list(tmp_path.iterdir()) == [precious.parent]


def test_an_output_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be written"), atomic_path(tmp_path / "file/a.csv"):
        pytest.fail("nothing must be computed for it")
