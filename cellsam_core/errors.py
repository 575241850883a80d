"""Exception for data that can't be used, the only one that users see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONGEST_QUOTED = 300
"""Characters of a library's message that are shown."""


class InputError(ValueError):
    """Error in the user's data, with a message of one sentence.

    The command line prints the message on standard error and ends with status 1.

    Parameters
    ----------
    where
        File, folder, column or option at fault.
    found
        Value or state that was found there.
    expected
        Value or state that was expected.
    remedy
        Action that the user can take, in the imperative.
    """

    def __init__(self, where: str | Path, *, found: str, expected: str, remedy: str) -> None:
        self.where = str(where)
        self.remedy = remedy
        message = f"{where}: found {found}, expected {expected}; {remedy}."
        super().__init__(" ".join(message.splitlines()))

    @classmethod
    def within(cls, where: str, error: InputError) -> InputError:
        """Repeat an error, beginning with the sample or file that it was found in."""
        made = cls.__new__(cls)
        made.where = f"{where}, {error.where}"
        made.remedy = error.remedy
        ValueError.__init__(made, f"{where}, {error}")
        return made

    @classmethod
    def with_remedy(cls, error: InputError, remedy: str) -> InputError:
        """Repeat an error with another remedy, of a command that has no sample sheet."""
        made = cls.__new__(cls)
        made.where, made.remedy = error.where, remedy
        said = str(error).removesuffix(f"; {error.remedy}.")
        ValueError.__init__(made, f"{said}; {remedy}.")
        return made


def shortened(names: Sequence[str], n_shown: int = 1) -> str:
    """List the first of some names, and count the others.

    Examples
    --------
    >>> shortened(["a.tif", "b.tif", "c.tif"])
    'a.tif and 2 more'
    """
    more = f" and {len(names) - n_shown} more" if len(names) > n_shown else ""
    return f"{', '.join(names[:n_shown])}{more}"


def first_line(error: BaseException) -> str:
    """Return the first line of a library's message, or the error's type if there is none.

    Some libraries put the bytes of a damaged file into their messages: what is too long is cut.
    """
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if len(line) <= LONGEST_QUOTED else f"{line[:LONGEST_QUOTED]}..."
