"""Files that an installation needs: locks, environments and profiles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock"]


def pins(lock: str) -> set[str]:
    """``name==version ; marker`` of every package of a lock."""
    text = (ROOT / lock).read_text()
    return {line.rstrip(" \\") for line in re.findall(r"^[a-z0-9].*$", text, re.MULTILINE)}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_by_hash_and_no_address_is_named(lock: str):
    text = (ROOT / lock).read_text()
    packages = re.findall(r"^[a-z0-9].*(?:\n    --hash=sha256:.*)*", text, re.MULTILINE)
    assert len(packages) > 50
    assert all("==" in package and "--hash=sha256:" in package for package in packages)
    assert "://" not in text


def test_tests_run_with_the_versions_that_users_get():
    users, developers = ({pin.partition(" ;")[0] for pin in pins(lock)} for lock in LOCKS)
    assert users <= developers


def test_every_dependency_is_locked():
    names = re.findall(
        r'^  "([a-z0-9-]+)[>=]',
        (ROOT / "pyproject.toml").read_text().partition("[project.urls]")[0],
        re.M,
    )
    locked = {pin.partition("==")[0] for pin in pins("requirements.lock")}
    assert len(names) > 10
    assert set(names) <= locked


@pytest.mark.parametrize(
    "environment", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda p: p.name
)
def test_environments_are_valid(environment: Path):
    content = yaml.safe_load(environment.read_text())
    assert set(content) == {"channels", "dependencies"}
    assert any(isinstance(item, dict) and item["pip"] for item in content["dependencies"])


@pytest.mark.parametrize("name", ["default", "slurm", "cluster-generic"])
def test_profiles_hold_snakemake_s_own_options(name: str):
    profile = yaml.safe_load((ROOT / "profiles" / name / "profile.yaml").read_text())
    if "executor" in profile:
        pytest.importorskip(f"snakemake_executor_plugin_{profile['executor'].replace('-', '_')}")
    parser = get_argument_parser()
    known = {o.removeprefix("--") for action in parser._actions for o in action.option_strings}
    assert set(profile) <= known
    assert profile["show-failed-logs"]  # the one sentence of a refused input reaches the terminal
