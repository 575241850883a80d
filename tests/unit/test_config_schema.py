"""Config keys are the commands' options, with the same defaults, in four places."""

from __future__ import annotations

import argparse
import importlib
import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())
SECTIONS = {k: v["properties"] for k, v in SCHEMA["properties"].items() if v["type"] == "object"}
COMMANDS = {section: section for section in SECTIONS} | {"segment": "segment-batch"}
# What a rule itself gives: files, and what one sample or one batch is.
OF_THE_RULE = {"help", "output", "sample", "batch", "masks", "cells", "objects", "tracks"}
OF_THE_RULE |= {
    "corrections",
    "pixel_size_um",
    "frame_interval_s",
    "format",
    "labels",
    "polygons",
    "transcripts",
    "manifest",
    "config_json",
    "benchmarks",
    "provenance",
}
# What the workflow leaves to another rule, `traces`.
LEFT_OUT = {"track": {"images", "ratio"}, "preprocess": {"weights", "preset"}}


def options(command: str) -> dict[str, object]:
    """Long options of a command and their defaults."""
    module = importlib.import_module(f"cellsam_core.cli.{command.replace('-', '_')}")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return {a.dest: a.default for a in parser._actions if a.option_strings}


@pytest.mark.parametrize("section", SECTIONS)
def test_keys_and_defaults_are_those_of_the_command(section: str):
    not_keys = OF_THE_RULE | LEFT_OUT.get(section, set())
    of_command = {k: v for k, v in options(COMMANDS[section]).items() if k not in not_keys}
    assert {k: item["default"] for k, item in SECTIONS[section].items()} == of_command


def test_the_shipped_config_shows_every_key_with_its_default():
    shipped = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    defaults = {name: {k: i["default"] for k, i in keys.items()} for name, keys in SECTIONS.items()}
    single = {k: v["default"] for k, v in SCHEMA["properties"].items() if v["type"] != "object"}
    assert shipped == single | {name: keys for name, keys in defaults.items() if keys}


def test_formats_are_those_of_the_readers():
    from cellsam_core.decoding import experiment as raw
    from cellsam_core.samples import movies, spatial

    facts = yaml.safe_load((ROOT / "workflow" / "schemas" / "samples.schema.yaml").read_text())
    formats = facts["properties"]["format"]["enum"]
    assert set(formats) == {*movies.FORMATS, *spatial.FORMATS, *raw.FORMATS}


def test_a_key_belongs_to_one_section_so_that_it_can_be_a_column():
    facts = yaml.safe_load((ROOT / "workflow" / "schemas" / "samples.schema.yaml").read_text())
    keys = [*facts["properties"], *(key for section in SECTIONS.values() for key in section)]
    assert len(keys) == len(set(keys))


def test_the_table_of_options_is_up_to_date():
    page = runpy.run_path(str(ROOT / "docs" / "make_config_table.py"))["page"]()
    assert (ROOT / "config" / "README.md").read_text(encoding="utf-8") == page
