"""The page that shows results, served to this computer's browser."""

from __future__ import annotations

import contextlib
import getpass
import secrets
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.options import options_of
from cellsam_core.viewer.options import ViewOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import uvicorn

    from cellsam_core.viewer.jobs import Jobs
    from cellsam_core.viewer.prompts import Load

HOST = "127.0.0.1"
DEFAULTS = ViewOptions()
STARTS_WITHIN_S = 20.0
ENDING = (signal.SIGTERM, signal.SIGHUP)


@dataclass
class Page:
    """A page that is being served.

    Attributes
    ----------
    url
        Address to open; it holds a secret token, so it is as good as a password.
    port
        Port on 127.0.0.1.
    """

    url: str
    port: int
    _server: uvicorn.Server
    _thread: threading.Thread
    _jobs: Jobs

    @property
    def ssh_command(self) -> str:
        """Command that makes the page reachable from another computer."""
        forward = f"{self.port}:{HOST}:{self.port}"
        return f"ssh -L {forward} {getpass.getuser()}@{socket.gethostname()}"

    def wait(self) -> None:
        """Serve until the process is interrupted or ended, or its terminal is closed."""
        with contextlib.suppress(KeyboardInterrupt), _interrupted_by(ENDING):
            while self._thread.is_alive():
                self._thread.join(0.5)
        self.close()

    def close(self) -> None:
        """Stop serving, and end the command that the page started."""
        self._jobs.close()
        self._server.should_exit = True
        self._thread.join(10)


@contextlib.contextmanager
def _interrupted_by(signals: Sequence[signal.Signals]) -> Iterator[None]:
    """Take signals for Ctrl+C, so that what the page started is ended, too."""
    is_main = threading.current_thread() is threading.main_thread()  # others can't have handlers
    old = {one: signal.getsignal(one) for one in signals if is_main}
    for one, handler in old.items():
        if handler != signal.SIG_IGN:  # as after `nohup`
            signal.signal(one, signal.default_int_handler)
    try:
        yield
    finally:
        for one, handler in old.items():
            signal.signal(one, handler)


def view(
    results: str | Path,
    options: ViewOptions = DEFAULTS,
    *,
    corrections: str | Path | None = None,
    token: str | None = None,
    load: Load | None = None,
) -> Page:
    """Show results in the browser: images, masks, tracks, traces, transcripts and counts.

    The page is served by this process, to this computer only, until it is closed or the process
    ends. Nothing below the folder of results is changed: corrections are rows of a table of the
    user's own, which the workflow applies in its next run.

    Parameters
    ----------
    results
        Folder ``results`` of a run, or the folder of one sample in it.
    options
        Port, and whether corrections are written.
    corrections
        Folder of the tables ``<sample>.tracks.csv`` and ``<sample>.cells.csv`` that corrections
        are appended to. Without it, the tables are those that the sample sheet of the run names,
        else those in the folder ``corrections`` beside the results.
    token
        Secret part of the address; a new one without it.
    load
        Function of the name of weights that loads the model that draws cells in boxes.

    Returns
    -------
    Page
        Address, and functions to wait and to close.

    Raises
    ------
    InputError
        The folder holds no results, the port is taken, the command to run is not there, or it
        is given beside the option to only look.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import cellsam_core as cc
    >>> folder = Path(mkdtemp())
    >>> small = cc.MovieOptions(frames=1, size_px=64, cells=2)
    >>> movie = cc.simulate_movie(folder / "raw", options=small)
    >>> sample = cc.inspect(folder / "raw/images", assay="movie")
    >>> sample.save(folder / "results/movie/0_manifest.json")
    >>> page = cc.view(folder / "results")
    >>> page.url.startswith("http://127.0.0.1:")
    True
    >>> page.close()
    """
    import uvicorn

    from cellsam_core.corrections.result import project_folder
    from cellsam_core.viewer.app import make_app
    from cellsam_core.viewer.editing import Editing
    from cellsam_core.viewer.jobs import Jobs
    from cellsam_core.viewer.prompts import Prompter, load_segmenter
    from cellsam_core.viewer.samples import Library
    from cellsam_core.viewer.teaching import Teaching
    from cellsam_core.viewer.trial import Trial

    options = options_of(ViewOptions, options)
    if options.read_only and options.run_command:
        raise InputError(
            "options `read-only` and `run-command`",
            found="both",
            expected="one of them: the command makes the results anew",
            remedy="leave one out",
        )
    tables = Path(corrections) if corrections is not None else None
    library = Library(Path(results), tables)
    load = load or load_segmenter
    jobs = Jobs(
        project_folder(results),
        library.root,
        tables,
        command=options.run_command,
        steps=options.finetune_steps,
    )
    prompter = Prompter(load, options.weights or "", is_off=options.no_model)
    editing = Editing(library, prompter, is_read_only=options.read_only)
    teaching = Teaching(library, jobs, prompter, Trial(load))
    token = token or secrets.token_urlsafe(16)
    listening = _listen(options.port)
    port = listening.getsockname()[1]
    config = uvicorn.Config(
        make_app(library, token, editing, teaching),
        access_log=False,
        log_level="error",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    end = time.monotonic() + STARTS_WITHIN_S
    while not server.started and thread.is_alive() and time.monotonic() < end:
        time.sleep(0.01)
    return Page(f"http://{HOST}:{port}/{token}/", port, server, thread, jobs)


def _listen(port: int) -> socket.socket:
    # Only where the protocol is named does asyncio switch off the delay of small packets (Nagle),
    # which costs 40 ms in each short answer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise InputError(
            f"port {port}",
            found=error.strerror or "that it can't be used",
            expected="a free port",
            remedy="choose another with --port, or leave it out",
        ) from error
    return listening
