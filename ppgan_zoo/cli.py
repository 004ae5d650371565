"""The command line: ``ppgan-zoo`` and the scripts under ``tools/``.

Every command is a module of :mod:`ppgan_zoo.commands`: a few lines onto a function that a
program can call too. Paddle is imported by the commands that need it, after the arguments
have been checked.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from ppgan_zoo import __version__, runtime
from ppgan_zoo.errors import ZooError

INTERRUPTED = 128

# Modules of ppgan_zoo.commands, in the order of --help.
COMMANDS = (
    "list",
    "info",
    "train",
    "sample",
    "export",
    "bench",
    "collapse",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0 when all is well; 2 with one line on standard error for whatever the user can
    mend; 130 and 143 after Ctrl-C and SIGTERM.
    """
    options = _parser().parse_args(arguments)
    runtime.prepare()
    try:
        code: int = options.run(options)
        return code
    except ZooError as error:
        print(f"ppgan-zoo: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED + signal.SIGINT
    except BrokenPipeError:  # such as "ppgan-zoo list | head -1"
        sys.stderr.close()
        return 0
    except OSError as error:  # a full disk, a folder that went away: not a bug
        print(f"ppgan-zoo: {error.filename or 'the system'}: {error.strerror}", file=sys.stderr)
        return 2


def tool(command: str) -> int:
    """Run one command for a script of that name under ``tools/``."""
    return main([command, *sys.argv[1:]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppgan-zoo", description="A plugin-style zoo of GANs for PaddlePaddle."
    )
    parser.add_argument("--version", action="version", version=f"ppgan_zoo {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        import_module(f"ppgan_zoo.commands.{command}").add(commands)
    return parser


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
