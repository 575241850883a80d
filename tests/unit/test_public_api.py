"""The public names can be imported, and the example of every public function runs."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys

import pytest

import cellsam_core as cc

FUNCTIONS = [name for name in sorted(cc.__all__) if inspect.isfunction(getattr(cc, name))]


def test_every_public_name_can_be_imported():
    assert {name for name in cc.__all__ if getattr(cc, name, None) is None} == set()
    assert {"inspect", "preprocess", "segment", "track", "trace", "assign", "report"} <= set(
        FUNCTIONS
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_a_function_runs(name: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function = getattr(cc, name)
    examples = doctest.DocTestFinder(recurse=False).find(function, name)
    assert any(test.examples for test in examples), "the docstring has no example"
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    runner = doctest.DocTestRunner(optionflags=options)
    failed = sum(runner.run(test).failed for test in examples)
    assert failed == 0


def test_nothing_is_imported_before_it_is_used():
    code = (
        "import sys, cellsam_core; print(sorted({'numpy', 'torch', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_functions_stay_functions_when_packages_of_stages_are_imported():
    import cellsam_core.tracking.tracker  # noqa: F401

    assert inspect.isfunction(cc.track)
    assert inspect.isfunction(cc.segment)
