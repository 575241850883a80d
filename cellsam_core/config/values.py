"""Values of the config and of the cells of the sample sheet: their types, and what is refused."""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from cellsam_core.config.schema import accepted_values
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonschema.exceptions import ValidationError

    Row = dict[str, Any]

MANY = 12
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def check_schema(values: Row, schema: dict[str, Any], where: str, what: str = "") -> None:
    """Refuse, in one sentence, values that do not fit the schema; name the key.

    Parameters
    ----------
    values
        Keys and values.
    schema
        JSON schema of the keys.
    where
        File, and the place in it, for the message.
    what
        Word for a key, such as ``column``, with a blank at its end.
    """
    error = best_match(Draft202012Validator(schema).iter_errors(values))
    if error is None:
        return
    raise InputError(
        ", ".join([where, *(f"{what}{key}" for key in error.absolute_path)]),
        **_in_words(error),
    )


def _in_words(error: ValidationError) -> dict[str, str]:
    """Say what jsonschema refuses: what was found, what is expected, and the remedy."""
    help_page = "every key is explained in config/README.md"
    schema: dict[str, Any] = dict(error.schema)  # type: ignore[arg-type]
    instance: Any = error.instance
    if error.validator == "required":
        missing = next(key for key in schema["required"] if key not in instance)
        return {
            "found": f"no value for {missing!r}",
            "expected": f"values for {', '.join(schema['required'])}",
            "remedy": f"fill the column {missing!r} in",
        }
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        unknown = next(key for key in instance if key not in known)
        close = difflib.get_close_matches(str(unknown), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "remove it;"
        return {
            "found": f"the unknown key {unknown!r}",
            "expected": f"one of {', '.join(known)}"
            if len(known) <= MANY
            else f"one of the {len(known)} that config/README.md lists",
            "remedy": f"{hint} {help_page}",
        }
    if error.validator == "pattern" and list(error.absolute_path) == ["sample"]:
        name = NOT_IN_NAMES.sub("_", instance).strip("._-")
        return {
            "found": repr(instance),
            "expected": "a name of letters, digits, dot, dash and underscore, without blanks",
            "remedy": f"write {name}" if name else "write another name",
        }
    return {
        "found": repr(error.instance),
        "expected": schema["description"].rstrip(".")
        if error.validator == "pattern"
        else accepted_values(schema),
        "remedy": f"correct it; {help_page}",
    }


def _parse_text(text: str, types: Sequence[str]) -> Any:
    """Turn the text of a cell, or of `--config`, into the type asked for, if it can be one."""
    if "null" in types and text == "null":
        return None
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    for name, number in (("integer", int), ("number", float)):
        if name in types:
            try:
                value = number(text)
            except ValueError:
                continue
            if math.isfinite(value):
                return value
    return text


def typed(values: Mapping[str, Any], properties: Mapping[str, Any]) -> Row:
    """Parse those values that are text but should be something else, or the other way round."""
    types = {key: properties.get(key, {}).get("type", "string") for key in values}
    words = {key: properties.get(key, {}).get("enum", ()) for key in values}
    return {
        # YAML takes the version 0.4 for a number.
        k: str(v) if isinstance(v, float) and str(v) in words[k] else v
        for k, v in (
            (k, _parse_text(v, types[k]) if isinstance(v, str) else v)
            for k, v in _without_lists(values, types).items()
        )
    }


def _without_lists(values: Mapping[str, Any], types: Mapping[str, Any]) -> Row:
    """Join a list of words where the key takes text: ``[nucleus, cell]`` is ``nucleus,cell``."""
    return {
        key: ",".join(value)
        if "string" in types[key]
        and isinstance(value, list)
        and all(isinstance(word, str) for word in value)
        else value
        for key, value in values.items()
    }


def typed_cells(cells: Mapping[str, str], properties: Mapping[str, Any], where: str) -> Row:
    """Parse the cells of a row, and take words with capitals as the word that they mean.

    Parameters
    ----------
    cells
        Column to text.
    properties
        Columns as the ``properties`` of a JSON schema.
    where
        Sheet and row, for the message.

    Raises
    ------
    InputError
        A number has a decimal comma.
    """
    row = typed(cells, properties)
    for column, value in row.items():
        item = properties.get(column, {})
        if not isinstance(value, str):
            continue
        if "number" in item.get("type", ()) and DECIMAL_COMMA.fullmatch(value):
            raise InputError(
                f"{where}, column {column}",
                found=f"{value!r}, a number with a decimal comma",
                expected="a decimal point",
                remedy=f"write {value.replace(',', '.')}",
            )
        choices = {str(word).lower(): word for word in item.get("enum", ())}
        row[column] = choices.get(value.lower(), value)
    return row
