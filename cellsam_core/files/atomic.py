"""Outputs appear under their final name only when they are complete.

What a killed process left behind is removed by the next one on its machine that writes the same
output. Two processes never write one output at a time: the system drops a lock with the process
that held it. Where a file system has no locks, or each machine its own, this holds for processes of
one machine; those of several machines have a temporary each, and the last to end wins.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import shutil
import socket
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

# What the system says where it is not the program's fault that nothing can be written.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITABLE = (errno.EROFS, errno.ENAMETOOLONG)
NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)  # of what is read, or written


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` on success, delete it on error.

    Works for a file and for a folder (a Zarr store, a CTC folder): an existing folder
    is replaced whole, but only by a folder of its kind: a slip in ``-o`` must not delete data.
    The temporary keeps the suffix of `path`, since writers look at it.

    Parameters
    ----------
    path
        The final name. Its parent is made if missing.

    Raises
    ------
    InputError
        The parent can't be made or written to, the disk is full, another process writes `path`,
        or `path` is a folder with other content.
    """
    final = Path(path)
    with exclusive(final) as was_killed:
        if was_killed:
            _remove_temporaries(final)
        temporary = final.with_name(f".{final.stem}.{_this_process()}.tmp{final.suffix}")
        try:
            yield temporary
            if final.is_dir() or (temporary.is_dir() and final.exists()):
                _refuse_other_kind(final, temporary)
                _remove(final)
            temporary.replace(final)
        except OSError as error:
            _remove(temporary)
            _raise_in_words(error, final, temporary)
            raise
        except BaseException:
            _remove(temporary)
            raise


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Hold the lock of an output, ``.<name>.lock`` beside it, which goes with its holder.

    Parameters
    ----------
    path
        The output. Its parent is made if missing.

    Yields
    ------
    bool
        Whether the holder before may have been killed, and have left something.

    Raises
    ------
    InputError
        Another process holds it, or the parent can't be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_folder(path, error.strerror or "no folder") from error
    if not os.access(path.parent, os.W_OK):
        raise _no_folder(path, "no permission to write there")
    lock = path.with_name(f".{path.name}.lock")
    try:
        descriptor, was_killed = _lock(lock)
    except BlockingIOError as error:
        raise InputError(
            path,
            found="that another process is writing it",
            expected="one run at a time in a folder",
            remedy="wait until the other has ended, or end it, and run again",
        ) from error
    except OSError as error:
        _raise_in_words(error, path, lock)
        raise
    try:
        yield was_killed
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path) -> tuple[int, bool]:
    while True:
        was_there = path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _hold(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        # The holder before may have removed the name between our two calls.
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor, was_there
        os.close(descriptor)


def _hold(descriptor: int) -> None:
    """Lock an open file; on a file system without locks, write this process's name into it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        if _runs(os.pread(descriptor, 1000, 0).decode(errors="replace")):
            raise BlockingIOError from None
        with suppress(OSError):  # on a full disk, the output itself says so
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _this_process().encode(), 0)


def _this_process() -> str:
    """Name that no other process has, without a dot: machine, number, and time of its start."""
    return f"{_machine()}-{os.getpid()}-{_start_of(os.getpid()) or ''}"


def _machine() -> str:
    """Name of the host and of the container: each container numbers its processes anew."""
    host = socket.gethostname().partition(".")[0]
    try:
        return f"{host}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return host


def _start_of(number: int) -> str | None:
    """Time at which a process of this machine began, empty if not known; None if it has ended."""
    with suppress(OSError):
        # After the name in brackets: the state, and 19 fields on the ticks since the machine's.
        fields = Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].decode().split()
        return None if fields[0] in "ZX" else fields[19]
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return ""


def _runs(process: str) -> bool | None:
    """Tell by its name whether a process runs; None where another machine would have to say."""
    machine, number, start = [*process.rsplit("-", 2), "", ""][:3]
    if machine != _machine() or not number.isdigit():
        return None
    start_now = _start_of(int(number))
    # Numbers are given again: another start is another process.
    return start_now is not None and (start_now == start or "" in (start, start_now))


def _remove_temporaries(final: Path) -> None:
    """Remove what processes of this machine left of an output before they were killed."""
    name = re.compile(rf"\.{re.escape(final.stem)}\.([^.]+)\.tmp{re.escape(final.suffix)}")
    for left in final.parent.iterdir():
        match = name.fullmatch(left.name)
        if match and _runs(match[1]) is False:
            _remove(left)
        elif match:
            log.warning("%s is left, a process may be writing it: if none is, delete it", left)


def _raise_in_words(error: OSError, path: Path, other: Path) -> None:
    """Turn a disk that is full or can't be used into a sentence; what is no fault of it is left.

    Parameters
    ----------
    error
        Where it names a file that is neither `path` nor `other` nor below them, as an input, it
        is left alone.
    path
        The output.
    other
        Its temporary or lock.
    """
    named = [os.path.realpath(n) for n in (error.filename, error.filename2) if isinstance(n, str)]
    own = [os.path.realpath(p) for p in (path, other)]
    if named and not any(Path(name).is_relative_to(p) for name in named for p in own):
        return
    found, expected = "that it can't be written", "a folder that can be written"
    remedy = "make it writable, or choose another output, and run again"
    if error.errno in NO_ROOM:
        expected = "room on the disk"
        remedy = "free some room and run again, what is finished is kept"
    elif error.errno in NO_ACCESS and not named:
        found, expected = "that it can't be made", "disks of inputs and outputs that work"
        remedy = "check that both can be read and written, and run again"
    elif error.errno not in (*NOT_WRITABLE, *NO_ACCESS):
        return
    found += f" ({os.strerror(error.errno)})"
    raise InputError(path, found=found, expected=expected, remedy=remedy) from error


def _no_folder(path: Path, reason: str) -> InputError:
    return InputError(
        path,
        found=f"that its folder can't be written ({reason})",
        expected="a place for the output",
        remedy="choose another output",
    )


def _refuse_other_kind(old: Path, new: Path) -> None:
    """Require that two folders share a file (``zarr.json``), or that the old one is empty."""
    names = {p.name for p in old.iterdir()} if old.is_dir() else set()
    if names and not (new.is_dir() and names & {p.name for p in new.iterdir()}):
        raise InputError(
            old,
            found="a folder with other content",
            expected="a new name, or an earlier result of the same kind",
            remedy="choose another output",
        )
    if not old.is_dir():
        raise InputError(
            old,
            found="a file",
            expected="a new name, or an earlier result of the same kind",
            remedy="choose another output",
        )


def _remove(path: Path) -> None:
    """Delete a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
