"""``cellsam-core completion``: a script with which a shell completes commands and options."""

from __future__ import annotations

import argparse

SCRIPT = """\
# Completion of cellsam-core for bash. In zsh, bashcompinit must be loaded before it.
_cellsam_core() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" command="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ "${{COMP_WORDS[i]}}" == -* ]] || {{ command="${{COMP_WORDS[i]}}"; break; }}
  done
  case "$command" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _cellsam_core cellsam-core
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "For bash: add the line  source <(cellsam-core completion)  to ~/.bashrc. For zsh: add"
        "  autoload -U bashcompinit; bashcompinit; source <(cellsam-core completion)  to ~/.zshrc."
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.cli import make_parser

    print(script(make_parser()), end="")


def script(parser: argparse.ArgumentParser) -> str:
    """Write the script from the commands and options of a parser."""
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    cases = [f'    "") words="{" ".join([*commands.choices, *_words(parser)])}" ;;']
    for name, subparser in commands.choices.items():
        cases.append(f'    {name}) words="{" ".join(_words(subparser))}" ;;')
    return SCRIPT.format(cases="\n".join(cases))


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """List the long options of a parser, and the words that its positional arguments accept."""
    options = [o for action in parser._actions for o in action.option_strings if o[:2] == "--"]
    choices = [
        str(word)
        for action in parser._actions
        if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
        for word in action.choices or ()
    ]
    nested = [
        name
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction) and parser.prog.count(" ")
        for name in action.choices
    ]
    return [*nested, *choices, *options]
