"""The terminal: what people read, and commands that they can copy from it."""

import shlex

from rich.console import Console

PROGRAM = "./handlab"
"""The command that users type; the name in usage, messages and printed commands."""

console = Console(stderr=True, highlight=False)
"""Standard output is for results; everything else is said here."""


def show(text: str) -> None:
    """Print a line as it is: neither wrapped nor read as markup, so that it can be copied."""
    console.print(text, soft_wrap=True, markup=False)


def command(*words: object) -> str:
    """Return a command line of handlab, quoted for a shell."""
    return shlex.join([PROGRAM, *map(str, words)])
