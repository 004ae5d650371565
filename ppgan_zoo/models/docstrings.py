"""What a class's docstring says of its arguments."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Example|Examples|Note):$")
_ARGUMENT = re.compile(r"^ {4}\*{0,2}(\w+)(?: \([^)]*\))?: (.*)$")


def argument_meanings(documented: type) -> dict[str, str]:
    """Return what the section "Args:" says of each argument, in one line each.

    Args:
        documented: A class with a docstring in Google's style. One that has none, or no such
            section, gives nothing.
    """
    return meanings_in(inspect.getdoc(documented) or "")


def meanings_in(docstring: str) -> dict[str, str]:
    """Return what the section "Args:" of a docstring says of each argument, without indents."""
    meanings: dict[str, str] = {}
    inside, name = False, ""
    for line in docstring.splitlines():
        if _SECTION.match(line):
            inside, name = line == "Args:", ""
        elif inside and (found := _ARGUMENT.match(line)):
            name = found[1]
            meanings[name] = found[2]
        elif inside and name and line.strip():
            meanings[name] += f" {line.strip()}"
    return meanings
