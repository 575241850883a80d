"""``tools/check_docstrings.py``: texts that it refuses, and texts that it lets pass."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "check_docstrings.py"))

FUNCTION = '''
def measure(plane, n):
    """Measure a plane.

    Of its pixels, the brightest are left out.

    Parameters
    ----------
    plane
        {text}
        Of this continued line nothing is said.
    n
        Number of planes.

    Returns
    -------
    ndarray, (y, x)
        {returned}
    """
'''


def rules(source: str) -> list[tuple[int, str]]:
    return [(hit.line, hit.text) for hit in TOOL["check"](source)]


@pytest.mark.parametrize(
    "text",
    [
        *("What a tile is.", "Which cell owns it.", "Whether it divides.", "How far it moved."),
        *("Where runs begin.", "When it is reached.", "Why not.", "Who owns it."),
        *("Is it a cell.", "Are they alike.", "Does it fit.", "Do two samples agree.", "A cell?"),
        "Measure a cell; is it round?",
    ],
)
@pytest.mark.parametrize(
    "source",
    [
        '"""{}"""\n',
        'class A:\n    """{}"""\n',
        'class A:\n    def f(self):\n        """{}\n\n        More.\n        """\n',
        'async def f():\n    """{}"""\n',
        'X = 1\n"""{}"""\n',
        'class A:\n    x: int = 1\n    """{}"""\n',
    ],
)
def test_questions_are_refused_wherever_a_docstring_may_be(source, text):
    ((line, found),) = rules(source.format(text))
    assert found == text
    assert source.splitlines()[line - 1].lstrip().startswith('"""')


@pytest.mark.parametrize(
    "text",
    [
        *("Isolated cells.", "Whatever the tile is.", "Wherever it lies, it is kept.", "Dose, nM."),
        *("Howell's rule.", "", "Test whether it divides.", "Measure.\n\nHow? By eye."),
    ],
)
def test_statements_pass(text):
    assert not rules(f'"""{text}"""\n')


@pytest.mark.parametrize("source", ['X = 1\n"""{}"""\n', 'class A:\n    x: int\n    """{}"""\n'])
def test_texts_of_attributes_do_not_begin_with_of(source):
    assert [text for _, text in rules(source.format("Of the plane."))] == ["Of the plane."]
    assert not rules(source.format("Offset of the plane, px."))


def test_texts_of_parameters_do_not_begin_with_of():
    good = FUNCTION.format(text="Grey values, (y, x).", returned="Mean.")
    assert not rules(good)
    bad = FUNCTION.format(text="Of one frame.", returned="Of the mean.")
    assert rules(bad) == [(10, "Of one frame."), (18, "Of the mean.")]
    assert bad.splitlines()[9].strip() == "Of one frame."


def test_strings_that_document_nothing_are_not_looked_at():
    assert not rules('print("Is it?")\nx = "Of the plane."\nf(x)\n"""Whether."""\n')


def test_the_status_tells_whether_there_are_hits(tmp_path, capsys):
    (tmp_path / "good.py").write_text('"""Cells."""\n')
    assert TOOL["main"]([str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
    bad = tmp_path / "folder" / "bad.py"
    bad.parent.mkdir()
    bad.write_text('"""Where cells are."""\n')
    for argument in (tmp_path, bad):
        assert TOOL["main"]([str(argument)]) == 1
        assert capsys.readouterr().out.startswith(f"{bad}:1: docstring is a question")
