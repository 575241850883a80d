"""Options are defined once: checks, command line and JSON schema follow from the definition."""

from __future__ import annotations

import argparse
from typing import Literal

import pytest

from cellsam_core.errors import InputError
from cellsam_core.options import Options, add_options, from_arguments, json_schema, option, options


@options
class Toy(Options):
    """Options of a toy."""

    bud_contact_px: int = option(3, "Largest gap between bud and mother, in pixels.", minimum=0)
    diameter_px: float | Literal["auto"] = option("auto", "Diameter in pixels.", minimum=1)
    size: int | Literal["auto", "truth"] = option("auto", "Size in pixels.", minimum=1)
    kind: Literal["mitosis", "budding"] = option("mitosis", "How cells multiply.")
    limit: float | None = option(None, "Limit in %.", above=0, maximum=20)
    pair: str | tuple[str, str] | None = option(None, "Two channels.")


def parse(*words: str) -> Toy:
    parser = argparse.ArgumentParser()
    add_options(parser, Toy)
    return from_arguments(Toy, parser.parse_args(words))


def test_command_line_gives_values_of_the_right_types():
    made = parse("--bud-contact-px", "5", "--diameter-px", "30", "--limit", "2", "--pair", "a/b")
    assert made == Toy(bud_contact_px=5, diameter_px=30.0, limit=2.0, pair="a/b")


def test_defaults_are_those_of_the_class():
    assert parse() == Toy()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"bud_contact_px": -1}, "found -1, expected a whole number of at least 0"),
        ({"bud_contact_px": 1.5}, "found 1.5, expected a whole number"),
        ({"bud_contact_px": True}, "found True"),
        ({"diameter_px": 0.5}, "expected `auto` or a number of at least 1"),
        ({"size": "large"}, "expected `auto` or `truth` or a whole number of at least 1"),
        ({"diameter_px": "large"}, "found 'large', expected `auto`"),
        ({"kind": "fission"}, "expected one of mitosis, budding"),
        ({"limit": 0}, "expected a number above 0 and at most 20 or None"),
        ({"limit": float("nan")}, "found nan"),
        ({"pair": 3}, "expected text or None"),
    ],
)
def test_a_value_outside_its_limits_is_refused_in_a_sentence(values, sentence):
    with pytest.raises(InputError, match="option `") as caught:
        Toy(**values)
    assert sentence in str(caught.value)


def test_a_choice_that_does_not_exist_is_wrong_usage():
    with pytest.raises(SystemExit) as caught:
        parse("--kind", "fission")
    assert caught.value.code == 2


def test_schema_has_types_limits_and_defaults():
    schema = json_schema(Toy)
    assert schema["bud_contact_px"]["minimum"] == 0
    assert schema["diameter_px"]["type"] == ["number", "string"]
    assert schema["diameter_px"]["pattern"] == "^auto$"
    assert schema["size"]["pattern"] == "^(auto|truth)$"
    assert schema["limit"] == {
        "type": ["number", "null"],
        "exclusiveMinimum": 0,
        "maximum": 20,
        "default": None,
        "description": "Limit in %.",
    }


def test_the_docstring_lists_every_option_with_its_help():
    assert "bud_contact_px\n    Largest gap between bud and mother, in pixels." in Toy.__doc__
