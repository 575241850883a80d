from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tools")]

import refusals  # noqa: E402


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


# Refusals: which test meets which, see tests/refusals.py.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-refusals",
        action="store_true",
        help="renew tests/refusals.tsv; then `make config-table` renews docs/refusals.md",
    )


def pytest_configure() -> None:
    refusals.watch()


def pytest_runtest_protocol(item: pytest.Item) -> None:
    refusals.RECORDER.test = _name(item.nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    recorder = refusals.RECORDER
    if report.passed and report.when == "call":
        recorder.passed.add(_name(report.nodeid))
    elif not report.passed:
        (recorder.skipped if report.skipped else recorder.failed).add(_name(report.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take over what a process of pytest-xdist has recorded."""
    for test, places in getattr(node, "workeroutput", {}).get("refusals", {}).items():
        refusals.RECORDER.seen[test] |= {(place, kind) for place, kind in places}


def pytest_sessionfinish(session: pytest.Session) -> None:
    seen = refusals.RECORDER.seen
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["refusals"] = {t: [[*p] for p in s] for t, s in seen.items()}
        return
    session.config.refusals_told = refusals.finish(session.config)  # type: ignore[attr-defined]
    if session.config.refusals_told and not session.exitstatus:  # type: ignore[attr-defined]
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    told = getattr(config, "refusals_told", [])
    if told:
        terminalreporter.section("refusals")
        for line in told:
            terminalreporter.line(line)
        terminalreporter.line(
            "Run these files again with --record-refusals, then `make config-table`."
        )


def _name(nodeid: str) -> str:
    """Name a test by its file and function."""
    file, _, function = nodeid.partition("::")
    return f"{Path(file).stem}::{function.partition('[')[0]}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser for the tests of a module."""
    from view_browser import launched

    with launched() as chromium:
        yield chromium


@pytest.fixture
def tab(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A tab of its own; a picture of its end is kept in the folder CELLSAM_SCREENSHOTS."""
    from view_browser import Tab

    tab = Tab(browser)
    yield tab
    kept = os.environ.get("CELLSAM_SCREENSHOTS")
    if kept:
        tab.page.screenshot(path=str(Path(kept) / f"{request.node.name}.png"))
    tab.context.close()
