from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys

import pytest

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path, exclusive


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


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks, as Lustre without the option flock."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_two_writers_of_a_machine_exclude_each_other(tmp_path):
    output = tmp_path / "a.csv"
    with atomic_path(output) as temporary:
        temporary.write_text("first")
        with pytest.raises(InputError, match="another process is writing it"), atomic_path(output):
            pytest.fail("it is held")
        assert temporary.read_text() == "first"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.usefixtures("no_locks")
def test_without_locks_no_machine_removes_what_another_writes(tmp_path, monkeypatch, caplog):
    output = tmp_path / "a.csv"
    with atomic_path(output) as first:
        first.write_text("first")
        with monkeypatch.context() as other:
            other.setattr(socket, "gethostname", lambda: "other.cluster")
            with atomic_path(output) as second:
                second.write_text("second")
                assert first.read_text() == "first"
        assert output.read_text() == "second"
        assert str(first) in caplog.text
    assert output.read_text() == "first"
    assert list(tmp_path.iterdir()) == [output]


def test_a_lock_that_holds_on_one_machine_alone_lets_no_other_remove_anything(
    tmp_path, monkeypatch
):
    """Some file systems, as Lustre with localflock, tell no machine of the locks of others."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    output = tmp_path / "a.csv"
    with atomic_path(output) as first:
        first.write_text("first")
        with monkeypatch.context() as other:
            other.setattr(socket, "gethostname", lambda: "other")
            with atomic_path(output) as second:
                second.write_text("second")
    assert output.read_text() == "first"


@pytest.mark.usefixtures("no_locks")
def test_without_locks_what_a_killed_process_left_is_removed(tmp_path):
    output = tmp_path / "a.csv"
    script = (
        "import errno, fcntl, os, signal, sys\n"
        "from cellsam_core.files.atomic import atomic_path\n"
        "def refuse(*_):\n"
        "    raise OSError(errno.ENOLCK, 'No locks available')\n"
        "fcntl.flock = refuse\n"
        "with atomic_path(sys.argv[1]) as path:\n"
        "    path.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(output)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with atomic_path(output) as temporary:
        temporary.write_text("whole")
    assert list(tmp_path.iterdir()) == [output]


def test_a_process_with_the_number_of_a_killed_one_is_another(tmp_path):
    output = tmp_path / "a.csv"
    with atomic_path(output) as temporary:
        machine, number, start = temporary.name.split(".")[2].rsplit("-", 2)
        temporary.touch()
    if not start:
        pytest.skip("the start of a process is not known here")
    left = tmp_path / f".a.{machine}-{number}-{int(start) - 1}.tmp.csv"
    left.touch()
    (tmp_path / ".a.csv.lock").touch()
    with atomic_path(output) as temporary:
        temporary.touch()
    assert list(tmp_path.iterdir()) == [output]


def test_a_lock_that_goes_while_it_is_taken_is_taken_anew(tmp_path, monkeypatch):
    """Its holder may end at any moment."""
    lock, taken = tmp_path / ".a.lock", []

    def take_and_lose(*_):
        taken.append(lock)
        if len(taken) == 1:
            lock.unlink()

    exists = type(lock).exists
    monkeypatch.setattr(fcntl, "flock", take_and_lose)
    # As if the name went after it was asked for.
    monkeypatch.setattr(
        type(lock), "exists", lambda path, **_: (path == lock and bool(taken)) or exists(path)
    )
    with exclusive(tmp_path / "a"):
        assert lock.stat()
    assert len(taken) == 2


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOSPC])
def test_an_input_that_can_not_be_read_is_no_fault_of_the_output(tmp_path, number):
    source, output = tmp_path / "raw.tif", tmp_path / "a.zarr"
    with pytest.raises(OSError, match=r"raw\.tif") as caught, atomic_path(output):
        raise OSError(number, os.strerror(number), str(source))
    assert caught.value.errno == number


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (errno.EACCES, "can't be written"),
        (errno.EIO, "can't be written"),
        (errno.ENOSPC, "free some room"),
    ],
)
def test_an_error_of_the_output_names_it(tmp_path, number, found):
    with (
        pytest.raises(InputError, match=f"{tmp_path}/a.zarr: .*{found}"),
        atomic_path(tmp_path / "a.zarr") as temporary,
    ):
        raise OSError(number, os.strerror(number), str(temporary / "0/zarr.json"))


def test_an_error_without_a_name_blames_nobody(tmp_path):
    with (
        pytest.raises(InputError, match=r"can't be made .*disks of inputs and outputs"),
        atomic_path(tmp_path / "a.zarr"),
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_of_two_outputs_the_one_with_the_error_is_named(tmp_path):
    with (
        pytest.raises(InputError, match=f"{tmp_path}/a.csv: .*can't be written"),
        atomic_path(tmp_path / "a.csv") as first,
        atomic_path(tmp_path / "b.csv"),
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(first))
