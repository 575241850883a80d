"""The one exception for data that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class InputError(ValueError):
    """The user's data can't be used; the message says so in one sentence.

    The command line turns it into that sentence on standard error and exit status 1.

    Parameters
    ----------
    where
        File, folder, column or option at fault.
    found
        What is there.
    expected
        What should be there.
    remedy
        What the user can do, in the imperative.
    """

    def __init__(self, where: str | Path, *, found: str, expected: str, remedy: str) -> None:
        self.where = str(where)
        message = f"{where}: found {found}, expected {expected}; {remedy}."
        super().__init__(" ".join(message.splitlines()))

    @classmethod
    def within(cls, where: str, error: InputError) -> InputError:
        """Repeat an error with the sample or file that it was found in before it."""
        made = cls.__new__(cls)
        made.where = f"{where}, {error.where}"
        ValueError.__init__(made, f"{where}, {error}")
        return made


def first_line(error: BaseException) -> str:
    """Return the first line of a library's message, or the error's type if there is none."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
