"""Options of a stage, defined once.

An options class is a frozen dataclass whose fields carry their default, their limits and one
sentence of help. The command line, the JSON schema of the config, the tables of
``config/README.md`` and the check of every value are made from it.
"""

from __future__ import annotations

import functools
import math
import os
from dataclasses import MISSING, Field, dataclass, field, fields
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection

METADATA_KEY = "cellsam_core"
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
TYPE_WORDS = {"integer": "a whole number", "number": "a number", "string": "text"}
TYPE_WORDS |= {"boolean": "true or false", "null": "None"}
MAX_SEED = 2**32 - 1
"""Largest seed of a random generator."""


@dataclass(frozen=True)
class Limits:
    """Help text and limits of one option, as JSON schema names them.

    Attributes
    ----------
    text
        One sentence of help, with the unit.
    schema
        ``minimum``, ``exclusiveMinimum``, ``maximum``, ``exclusiveMaximum`` and ``pattern``.
    """

    text: str
    schema: dict[str, Any]

    def admit(self, value: float) -> bool:
        """Tell whether a number is finite and inside the limits."""
        low, above = self.schema.get("minimum"), self.schema.get("exclusiveMinimum")
        high, below = self.schema.get("maximum"), self.schema.get("exclusiveMaximum")
        return (
            math.isfinite(value)
            and (low is None or value >= low)
            and (above is None or value > above)
            and (high is None or value <= high)
            and (below is None or value < below)
        )

    def words(self) -> str:
        """Describe the limits: ``from 0 to 1``, ``at least 1``, ``above 0 and at most 20``."""
        low, high = self.schema.get("minimum"), self.schema.get("maximum")
        if low is not None and high is not None:
            return f"from {low} to {high}"
        words = {"minimum": "at least", "exclusiveMinimum": "above"}
        words |= {"maximum": "at most", "exclusiveMaximum": "below"}
        given = {key: word for key, word in words.items() if key in self.schema}
        return " and ".join(f"{word} {self.schema[key]}" for key, word in given.items())


def option(
    default: Any = MISSING,
    text: str = "",
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    pattern: str | None = None,
) -> Any:
    """Define one field of an options class.

    Parameters
    ----------
    default
        Value of the option when it is not given; without a default the option must be given.
    text
        One sentence of help, with the unit.
    minimum, above
        Smallest value allowed; value that must be exceeded.
    maximum, below
        Largest value allowed; value that must not be reached.
    pattern
        Regular expression that a text must match, as in JSON schema.
    """
    given: dict[str, Any] = {
        "exclusiveMinimum": above,
        "minimum": minimum,
        "exclusiveMaximum": below,
    }
    given |= {"maximum": maximum, "pattern": pattern}
    limits = Limits(text, {key: value for key, value in given.items() if value is not None})
    return field(default=default, metadata={METADATA_KEY: limits})


@dataclass(frozen=True)
class Kind:
    """Values that an option accepts.

    Attributes
    ----------
    types
        Names of JSON types.
    choices
        Words of an option that accepts nothing else; empty for others.
    words
        Words that are accepted beside numbers, such as ``auto``; empty for none.
    """

    types: tuple[str, ...]
    choices: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all options classes: every value is checked when an instance is made.

    Raises
    ------
    InputError
        A value is of the wrong type or outside its limits, or two values contradict each other.
    """

    kinds: ClassVar[dict[str, Kind]] = {}
    """Values that each option accepts, read from the annotations of the class."""

    def __post_init__(self) -> None:
        for item in fields(self):
            _check_value(self.kinds[item.name], item, getattr(self, item.name))
        self.check()

    def check(self) -> None:
        """Refuse values that contradict each other; a class with such options overrides this."""


T = TypeVar("T", bound=Options)


# Without field_specifiers: a type checker then takes each field as one with a default.
@dataclass_transform(frozen_default=True, kw_only_default=True)
def options(cls: type[T]) -> type[T]:
    """Make a frozen dataclass of `cls` and describe its options in its docstring."""
    made = dataclass(frozen=True, kw_only=True)(cls)
    hints = get_type_hints(made)
    made.kinds = {item.name: _kind(hints[item.name]) for item in fields(made)}
    lines = [line for item in fields(made) for line in (item.name, f"    {_limits(item).text}")]
    made.__doc__ = "\n".join([(cls.__doc__ or "").rstrip(), "", "Parameters", "-" * 10, *lines, ""])
    return made


def _kind(hint: Any) -> Kind:
    """Translate an annotation, such as ``float | Literal["auto"]``."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    words = [str(word) for part in parts if get_origin(part) is Literal for word in get_args(part)]
    # A tuple, such as a pair of channels, can be given in Python only.
    types = [JSON_TYPES[part] for part in parts if part in JSON_TYPES]
    is_choice = bool(words) and not set(types) & {"number", "integer"}
    types = [*types, "string"] if words and "string" not in types else types
    types.sort(key=["integer", "number", "boolean", "string", "null"].index)
    if is_choice:
        return Kind(tuple(types), choices=tuple(words), words=())
    return Kind(tuple(types), choices=(), words=tuple(words))


def _limits(item: Field[Any]) -> Limits:
    limits: Limits = item.metadata[METADATA_KEY]
    return limits


def _check_value(kind: Kind, item: Field[Any], value: Any) -> None:
    limits = _limits(item)
    if _is_accepted(value, kind, limits):
        return
    raise InputError(
        f"option `{item.name}`",
        found=repr(value),
        expected=describe(kind, limits),
        remedy="correct it",
    )


def _is_accepted(value: Any, kind: Kind, limits: Limits) -> bool:
    if value is None:
        return "null" in kind.types
    if isinstance(value, bool):
        return "boolean" in kind.types
    if isinstance(value, str):
        if kind.choices or kind.words:
            return value in (*kind.choices, *kind.words)
        return "string" in kind.types
    if isinstance(value, tuple):
        return "string" in kind.types
    is_whole = hasattr(value, "__index__")
    if "number" in kind.types or (is_whole and "integer" in kind.types):
        return limits.admit(float(value))
    return False


def describe(kind: Kind, limits: Limits) -> str:
    """Say in words which values an option accepts, for an error message."""
    if kind.choices:
        words = ", ".join(kind.choices)
        return f"one of {words}" + (", or None" if "null" in kind.types else "")
    parts = [f"`{word}`" for word in kind.words]
    for name in kind.types:
        if name == "string" and kind.words:
            continue
        words = limits.words() if name in ("number", "integer") else ""
        words = f"of {words}" if words.startswith("at ") else words
        parts.append(f"{TYPE_WORDS[name]} {words}".strip())
    return " or ".join(parts)


def options_of(cls: type[T], value: T | None, name: str = "options") -> T:
    """Return the options that a caller gave to a function; the defaults if there are none.

    Parameters
    ----------
    cls
        The options class.
    value
        What was given.
    name
        Name of the argument.

    Raises
    ------
    InputError
        Something else than these options was given, such as a dictionary.
    """
    if value is None:
        return cls()
    words = "..."
    if isinstance(value, dict):
        words = ", ".join(f"{key}={each!r}" for key, each in value.items())
    refuse_other_type(value, cls, name, f"write `{name}={cls.__name__}({words})`")
    return value


def refuse_other_type(value: Any, cls: type | tuple[type, ...], name: str, remedy: str) -> None:
    """Refuse an argument that is of none of some types, before anything is computed.

    Parameters
    ----------
    value
        What was given.
    cls
        The type, or several.
    name
        Name of the argument.
    remedy
        Action that the user can take.

    Raises
    ------
    InputError
        The argument is of another type.
    """
    if isinstance(value, cls):
        return
    is_text = isinstance(value, str)
    types = [each.__name__ for each in (cls if isinstance(cls, tuple) else (cls,))]
    raise InputError(
        f"argument `{name}`",
        found=f"the text {value!r}" if is_text else f"an object of type {type(value).__name__}",
        expected=f"one of type {' or '.join(types)}",
        remedy=remedy,
    )


def refuse_no_path(value: Any, name: str = "output") -> None:
    """Refuse options, and whatever else is no path, where a folder or file may be named.

    Parameters
    ----------
    value
        What was given; None for nothing.
    name
        Name of the argument.

    Raises
    ------
    InputError
        The argument is no path.
    """
    if value is not None:
        remedy = "name a path, and give options by their name, as `options=...`"
        refuse_other_type(value, (str, os.PathLike), name, remedy)


def json_schema(cls: type[Options], names: Collection[str] | None = None) -> dict[str, Any]:
    """Describe options as the ``properties`` of a JSON schema.

    Parameters
    ----------
    cls
        An options class.
    names
        Options to describe; all of them without it.
    """
    properties = {}
    for item in fields(cls):
        if names is not None and item.name not in names:
            continue
        kind, limits = cls.kinds[item.name], _limits(item)
        types = list(kind.types) if len(kind.types) > 1 else kind.types[0]
        schema: dict[str, Any] = {"type": types}
        if kind.choices:
            schema["enum"] = [*kind.choices, *([None] if "null" in kind.types else [])]
        if kind.words:
            alternatives = "|".join(kind.words)
            schema["pattern"] = (
                f"^({alternatives})$" if "|" in alternatives else f"^{alternatives}$"
            )
        schema |= limits.schema
        if item.default is not MISSING:
            schema["default"] = item.default
        properties[item.name] = schema | {"description": limits.text}
    return properties


def add_options(
    parser: argparse.ArgumentParser, cls: type[Options], *, without: Collection[str] = ()
) -> None:
    """Give a command the options of a class: ``bud_contact_px`` becomes ``--bud-contact-px``.

    Parameters
    ----------
    parser
        Parser of the command.
    cls
        An options class.
    without
        Options that the command does not offer.
    """
    for item in fields(cls):
        if item.name in without:
            continue
        kind, limits = cls.kinds[item.name], _limits(item)
        is_required = item.default is MISSING
        if kind.types == ("boolean",):
            flag = f"--{item.name.replace('_', '-')}"
            parser.add_argument(flag, action="store_true", help=_help(kind, limits))
            continue
        parser.add_argument(
            f"--{item.name.replace('_', '-')}",
            type=_parser_of(kind),
            choices=kind.choices or None,
            default=None if is_required else item.default,
            required=is_required,
            metavar=_metavar(kind),
            help=_help(kind, limits),
        )


def _parser_of(kind: Kind) -> Any:
    """Return the function that turns the text of an option into its value."""
    if kind.words:
        return functools.partial(_number_or_text, whole="number" not in kind.types)
    if "number" in kind.types:
        return float
    return int if "integer" in kind.types else str


def _number_or_text(text: str, *, whole: bool) -> float | str:
    """Read a number; text that is none is left for the check to accept or refuse."""
    try:
        return int(text) if whole else float(text)
    except ValueError:
        return text


def _metavar(kind: Kind) -> str | None:
    if kind.choices:
        return None
    if "integer" in kind.types:
        return "N"
    return "F" if "number" in kind.types else "TEXT"


def _help(kind: Kind, limits: Limits) -> str:
    # argparse would read a percent sign as the start of a placeholder.
    words = limits.words() if {"number", "integer"} & set(kind.types) else ""
    return (limits.text + (f" [{words}]" if words else "")).replace("%", "%%")


def from_arguments(cls: type[T], args: argparse.Namespace) -> T:
    """Make the options of a class from the parsed arguments of a command.

    Raises
    ------
    InputError
        A value is outside its limits, or two values contradict each other.
    """
    given = vars(args)
    return cls(**{item.name: given[item.name] for item in fields(cls) if item.name in given})
