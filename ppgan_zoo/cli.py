"""The command line: ``ppgan-zoo``, ``python -m ppgan_zoo`` and the scripts under ``tools/``.

Every command is a module of :mod:`ppgan_zoo.commands`: a few lines onto a function that a
program can call too. Paddle is imported by the commands that need it, after the arguments
have been checked.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from ppgan_zoo import __version__, runtime
from ppgan_zoo.errors import INTERRUPTED, ConfigError, ZooError

LONGEST_LINE = 800

# Modules of ppgan_zoo.commands, in the order of --help.
COMMANDS = (
    "list",
    "info",
    "check",
    "train",
    "sample",
    "evaluate",
    "search",
    "stability",
    "export",
    "bench",
    "convert",
    "collapse",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0 when all is well; 2 with one line on standard error for whatever the user can
    mend; 130, 143 and 129 after Ctrl-C, SIGTERM and SIGHUP.
    """
    _open_streams()
    try:
        options = _parser().parse_args(arguments)
        runtime.prepare()
        code: int = options.run(options)
        return code
    except ZooError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED + signal.SIGINT
    except BrokenPipeError:  # such as "ppgan-zoo list | head -1"
        sys.stderr.close()
        return 0
    except MemoryError:
        return _refuse("out of memory; make the batch, the images or the nets smaller")
    except OSError as error:  # a full disk, a folder that went away: not a bug
        return _refuse(f"{error.filename or 'the system'}: {error.strerror or error}")


def _open_streams() -> None:
    """Give a process that was started without a standard stream one that goes nowhere.

    Otherwise the next file that it opens would get the stream's number, and whatever prints
    would write into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.dup(number), "r" if name == "stdin" else "w"))


def tool(command: str) -> int:
    """Run one command for a script of that name under ``tools/``."""
    return main([command, *sys.argv[1:]])


class _Parser(argparse.ArgumentParser):
    """A parser that refuses in one line, as everything else does."""

    def parse_known_args(self, *arguments: Any) -> tuple[argparse.Namespace, list[str]]:  # type: ignore[override]
        """Parse, and refuse what is left over here, where the command is known."""
        options, unknown = super().parse_known_args(*arguments)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        """Raise what :func:`main` prints."""
        raise ConfigError(f"{message}; see: {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ppgan-zoo", description="A plugin-style zoo of GANs for PaddlePaddle.")
    parser.add_argument("--version", action="version", version=f"ppgan_zoo {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        import_module(f"ppgan_zoo.commands.{command}").add(commands)
    return parser


def _refuse(message: str) -> int:
    """Print one line and return the exit code of a refusal."""
    line = " ".join(message.split())
    # What stands in a file or a name is not to steer the terminal.
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    if len(line) > LONGEST_LINE:  # a name of any length; the advice stands at the end
        line = f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"
    print(f"ppgan-zoo: {line}", file=sys.stderr)
    return 2
