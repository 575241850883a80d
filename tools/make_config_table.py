"""Write config/README.md and config/config.yaml from the options of the stages.

``python tools/make_config_table.py``, or ``make config-table``
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from cellsam_core.config.schema import accepted_values, config_schema, sheet_schema

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "config" / "README.md"
CONFIG = ROOT / "config" / "config.yaml"

CONFIG_HEAD = """\
# Made from the options of each stage by `make config-table`. Change the values here; every key is
# explained in config/README.md. null: the key is not given. Threads and memory: profiles/.
"""

HEAD = """\
<!-- made from the options of each stage: change those, then `make config-table` -->
# Configuration

`config/config.yaml` holds the options, `config/samples.tsv` the experiments. A file given with
`--configfile` changes single keys of it. A misspelt key or a value out of range is refused.
`null` means that a key is not given.
A changed key runs again only what depends on it. Threads, memory and cluster settings are not
here but in `profiles/`, see docs/cluster.md.
"""

SHEET = """
## The sample sheet

Text separated by tabs, commas or semicolons, or a file of Excel (`.xlsx`), with one row for each
experiment. A row that begins with `#` is a comment. Any key of the sections above may be a column
as well: it then holds for that sample only. If a cell is empty, the value of the config is used.

| column | needed | value | meaning |
|---|---|---|---|
"""


def page() -> str:
    """Build the whole of config/README.md."""
    config, samples = config_schema(), sheet_schema()
    parts = [HEAD, "\n| key | default | value | meaning |\n|---|---|---|---|\n"]
    parts += [key_row(k, v) for k, v in config["properties"].items() if v["type"] != "object"]
    for section, schema in config["properties"].items():
        if schema["type"] == "object" and schema["properties"]:
            parts.append(f"\n## `{section}`\n\n{schema['description']}\n\n")
            parts.append("| key | default | value | meaning |\n|---|---|---|---|\n")
            parts += [key_row(key, item) for key, item in schema["properties"].items()]
    parts.append(SHEET)
    for column, item in samples["properties"].items():
        needed = "yes" if column in samples["required"] else ""
        parts.append(
            f"| `{column}` | {needed} | {accepted_values(item)} | {item['description']} |\n"
        )
    return "".join(parts)


def key_row(key: str, item: dict[str, Any]) -> str:
    """Build one row of a section's table."""
    default = json.dumps(item["default"]).strip('"')
    return f"| `{key}` | `{default}` | {accepted_values(item)} | {item['description']} |\n"


def shipped_config() -> str:
    """Build the whole of config/config.yaml: every key with its default and accepted values."""
    properties = config_schema()["properties"]
    single = {key: item for key, item in properties.items() if item["type"] != "object"}
    lines = [CONFIG_HEAD, *(config_line(key, item) for key, item in single.items())]
    for section, schema in properties.items():
        if section in single or not schema["properties"]:
            continue
        lines.append(f"\n{section}: # {schema['description']}\n")
        lines += [f"  {config_line(key, item)}" for key, item in schema["properties"].items()]
    return "".join(lines)


def config_line(key: str, item: dict[str, Any]) -> str:
    """Build one line of config/config.yaml."""
    default = json.dumps(item["default"])
    # Without quotes, YAML would take the version 0.5 for a number.
    is_number = isinstance(yaml.safe_load(default.strip('"')), float)
    default = default if isinstance(item["default"], str) and is_number else default.strip('"')
    return f"{key}: {default} # {accepted_values(item)}\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
    CONFIG.write_text(shipped_config(), encoding="utf-8")
