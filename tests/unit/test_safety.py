"""Refusal of names that lead out of the results folder, shell words, and files that run code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cellsam_core.config.schema import sheet_schema

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "cellsam_core").rglob("*.py"))
# Rendered with shlex by workflow/rules/options.smk.
QUOTED = {"params.options", "params.sample", "params.samples"}
# Held to letters, digits, dot, dash and underscore by a pattern, or to numbers by the schema.
HARMLESS = {"wildcards.sample", "wildcards.batch", "params.expand_um"}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "..",
            ".",
            "../x",
            "a/../../x",
            "/etc/x",
            "a/b",
            "a\\b",
            "~",
            "-o",
            ".a",
            "",
            "a;b",
            "a b",
        ),
        *("$HOME", "`id`", "<script>", "größe", "a\0", "{x}", "*"),
    ],
)
def test_a_sample_s_name_stays_in_the_results_folder(name: str):
    check = Draft202012Validator(sheet_schema())
    row = {"assay": "movie", "path": "."}
    assert check.is_valid(row | {"sample": "2026-03.a_1"})
    assert not check.is_valid(row | {"sample": name})


@pytest.mark.parametrize(
    "rules", sorted((ROOT / "workflow/rules").glob("*.smk")), ids=lambda p: p.stem
)
def test_every_path_in_a_shell_command_is_quoted(rules: Path):
    commands = re.findall(r"    shell:\n((?: {8}.*\n)+)", rules.read_text())
    assert len(commands) == rules.read_text().count("    shell:")
    for name in re.findall(r"\{(.*?)\}", "".join(commands)):
        assert name.endswith(":q") or name in QUOTED | HARMLESS, name


def test_no_file_can_run_code():
    """Nothing is unpickled, evaluated, given to a shell or extracted under names of an archive."""
    for path in SOURCES:
        for call in (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)):
            name = ast.unparse(call.func)
            options = {k.arg: ast.unparse(k.value) for k in call.keywords}
            where = f"{path.name}, line {call.lineno}: {name}"
            assert name not in {"eval", "exec", "os.system", "yaml.load", "pickle.load"}, where
            assert name not in {"pickle.loads", "joblib.load"}, where
            assert not name.endswith((".extractall", ".extract")), where
            assert options.get("shell", "False") == "False", where
            assert options.get("allow_pickle", "False") == "False", where
            if name == "torch.load":
                assert options.get("weights_only") == "True", where
