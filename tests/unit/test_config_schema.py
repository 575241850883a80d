"""Every key of the config is defined once; command line, config file and table are made from it."""

from __future__ import annotations

import argparse
import importlib
import runpy
from pathlib import Path

import pytest
import yaml

from cellsam_core.config.schema import SECTIONS, WORKFLOW_DEFAULTS, check_settings, sheet_schema
from cellsam_core.errors import InputError
from cellsam_core.nuclei.options import PairOptions
from cellsam_core.options import json_schema
from cellsam_core.segmentation.options import TargetOptions

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {section: section for section in SECTIONS} | {"segment": "segment-batch"}

OF_THE_RULES = set(json_schema(TargetOptions)) | set(json_schema(PairOptions))
"""Keys that decide which jobs there are, and those of `pair`."""


def options(command: str) -> dict[str, object]:
    """Long options of a command and their defaults."""
    module = importlib.import_module(f"cellsam_core.cli.{command.replace('-', '_')}")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return {a.dest: a.default for a in parser._actions if a.option_strings}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_command_of_a_section_has_its_keys_with_the_same_defaults(section: str):
    of_command = options(COMMANDS[section])
    keys = {k: v for k, v in SECTIONS[section].defaults.items() if k not in OF_THE_RULES}
    assert keys == {k: of_command[k] for k in keys}


def test_the_shipped_config_shows_every_key_with_its_default():
    shipped = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    sections = {name: section.defaults for name, section in SECTIONS.items()}
    assert shipped == WORKFLOW_DEFAULTS | sections


def test_formats_are_those_of_the_readers():
    from cellsam_core.samples import movies, raw_rounds, spatial

    formats = sheet_schema()["properties"]["format"]["enum"]
    assert set(formats) == {"auto", *movies.FORMATS, *spatial.FORMATS, *raw_rounds.FORMATS}


def test_a_key_belongs_to_one_section_so_that_it_can_be_a_column():
    keys = [*sheet_schema()["properties"]]
    keys += [key for section in SECTIONS.values() for key in section.defaults]
    assert len(keys) == len(set(keys))


def test_the_table_of_options_and_the_shipped_config_are_up_to_date():
    tool = runpy.run_path(str(ROOT / "tools" / "make_config_table.py"))
    for name, text in (("README.md", tool["page"]()), ("config.yaml", tool["shipped_config"]())):
        assert (ROOT / "config" / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("section", "values", "named"),
    [
        ("preprocess", {"clahe_kernel_px": 4}, "`clahe_kernel_px`"),
        ("segment", {"cell_diameter_px": 0.5}, "`cell_diameter_px`"),
        ("traces", {"baseline_frames": 5, "drug_frame": 2}, "`drug_frame`"),
        ("traces", {"reporter": "ktr", "ratio": "GFP"}, "`ring_px`"),
        ("track", {"division_area_min": 2.0, "division_area_max": 1.5}, "`division_area_min`"),
        ("decode", {"spotiflow_probability": 0.4}, "`spotiflow_probability`"),
    ],
)
def test_values_that_a_stage_would_refuse_are_refused_before_the_run(section, values, named):
    with pytest.raises(InputError, match=named):
        check_settings({section: values})
