"""Commands that README and docs name: every one is parsed, and the cheap ones are run."""

from __future__ import annotations

import argparse
import functools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from cellsam_core.cli import COMMANDS, make_parser
from cellsam_core.cli.completion import script
from cellsam_core.config.schema import config_schema

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += [ROOT / "config" / "README.md", ROOT / "CONTRIBUTING.md"]
PROGRAM = re.compile(r"(?:\.venv/bin/)?(?:cellsam-core|python -m cellsam_core)(?= |$)")
ENDS = re.compile(r"\s+(?:#|\||>|&&|;)(?:\s|$).*")


def code_lines(text: str) -> list[str]:
    """Lines of the fenced and indented blocks of a page; lines that go on are joined."""
    fenced = "\n".join(re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    indented = "\n".join(re.findall(r"^    (.*)$", text, re.MULTILINE))
    return f"{fenced}\n{indented}".replace("\\\n", " ").splitlines()


def whole_commands(page: Path, program: re.Pattern[str]) -> list[list[str]]:
    """Words after the program's name, of each line of code that begins with it."""
    found = []
    for line in code_lines(page.read_text(encoding="utf-8")):
        bare = re.sub(r"^(\$ |PATH=\S+ )+", "", line.strip())
        if program.match(bare):
            found.append(shlex.split(ENDS.sub("", program.sub("", bare, count=1))))
    return found


def mentioned(page: Path) -> list[list[str]]:
    """Words of each piece of inline code that begins with the program's name."""
    pieces = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    return [PROGRAM.sub("", p, count=1).split() for p in pieces if PROGRAM.match(p)]


snakemake_parser = functools.cache(get_argument_parser)


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    return make_parser()


@pytest.fixture(scope="module")
def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (action,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_blocks_of_code_are_complete(page: Path, parser: argparse.ArgumentParser):
    for words in whole_commands(page, PROGRAM):
        assert parser.parse_args(words).command in COMMANDS, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_sentences_exist_with_their_options(
    page: Path, subparsers: dict[str, argparse.ArgumentParser]
):
    for words in mentioned(page):
        if not words or words[0].startswith("-") or words[0].isupper():
            continue
        assert words[0] in subparsers, words
        # A sub-command, such as `simulate merfish`, has options of its own.
        known = " ".join(subparser_texts(subparsers[words[0]]))
        options = [word.strip("[],.").partition("=")[0] for word in words if "--" in word]
        assert [option for option in options if option not in known] == [], words


def subparser_texts(parser: argparse.ArgumentParser) -> list[str]:
    """Help of a command and of its sub-commands."""
    nested = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    more = [text for a in nested for p in a.choices.values() for text in subparser_texts(p)]
    return [parser.format_help(), *more]


SNAKEMAKE = re.compile(r"(?:\.venv/bin/)?snakemake(?= |$)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snakemake_is_called_as_it_understands(page: Path):
    rules = re.findall(
        r"^rule (\w+):",
        "\n".join(p.read_text() for p in [ROOT / "Snakefile", *ROOT.glob("workflow/rules/*.smk")]),
        re.MULTILINE,
    )
    keys = config_schema()["properties"]
    pieces = re.findall(r"`(snakemake [^`\n]+)`", page.read_text(encoding="utf-8"))
    words = [shlex.split(piece)[1:] for piece in pieces]
    for command in [*whole_commands(page, SNAKEMAKE), *words]:
        if "..." in command:
            continue
        if "kubernetes" in command:  # a plugin that is not installed here
            continue
        args = snakemake_parser().parse_args(command)
        targets = [t for t in args.targets if "/" not in t and t.isidentifier()]
        assert [t for t in targets if t not in rules] == [], command
        given = [text.partition("=")[0] for text in args.config or []]
        assert [key for key in given if key not in keys] == [], command


def test_snakemake_needs_no_option_as_documented():
    profile = yaml.safe_load((ROOT / "profiles/default/profile.yaml").read_text())
    assert profile["cores"] == "all"  # `snakemake plan` works as it stands
    for name in ("default", "slurm", "cluster-generic"):
        text = (ROOT / "profiles" / name / "profile.yaml").read_text()
        assert yaml.safe_load(text)["keep-going"] is True


PIPED = """
import cellsam_core.cli as cli
import cellsam_core.cli.weights as weights
weights.run = lambda args: print("line\\n" * 100_000)
raise SystemExit(cli.main(["weights", "list"]))
"""


def test_a_closed_pipe_is_no_error():
    shell = f"{shlex.join([sys.executable, '-c', PIPED])} | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "line\n", "")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("cellsam-core pre", {"preprocess", "preview"}),
        ("cellsam-core check --conf", {"--configfile"}),
    ],
)
def test_the_shell_completes_commands_and_options(
    typed: str, expected: set[str], parser: argparse.ArgumentParser
):
    words = typed.split()
    ask = f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _cellsam_core"
    code = f'{script(parser)}\n{ask}; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected


def test_verbose_may_stand_on_either_side(parser: argparse.ArgumentParser):
    assert parser.parse_args(["--verbose", "weights", "list"]).verbose
    assert parser.parse_args(["weights", "--verbose", "list"]).verbose
    assert not parser.parse_args(["weights", "list"]).verbose
