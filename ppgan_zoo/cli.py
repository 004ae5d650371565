"""The command line: ``ppgan-zoo``, ``python -m ppgan_zoo`` and the scripts under ``tools/``.

Every command is a module of :mod:`ppgan_zoo.commands`: a few lines onto a function that a
program can call too. Paddle is imported by the commands that need it, after the arguments
have been checked.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from ppgan_zoo import __version__, runtime
from ppgan_zoo.errors import (
    INTERRUPTED,
    ConfigError,
    Ended,
    PluginError,
    ZooError,
    did_you_mean,
)
from ppgan_zoo.runtime import how_to_install
from ppgan_zoo.storage.terminal import printable, say, tell, tell_warnings

LONGEST_LINE = 800
LONG_WORD = re.compile(r"\S{200,}")

SHELLS = ("bash", "zsh", "tcsh", "fish", "powershell")
"""Those that can complete commands and options."""

COMMANDS = {
    "list": "list models, recipes and pretrained models",
    "doctor": "look at the machine and the installation: what is there, what to mend",
    "info": "show everything that is known about one model",
    "check": "check that an architecture keeps its promises",
    "schema": "print the JSON schema of recipes, with which editors complete and check",
    "train": "train a recipe, or resume a run",
    "sample": "make images",
    "evaluate": "measure a model: FID, KID, precision, ...",
    "search": "compare settings of recipes within minutes, several seeds each",
    "stability": "train the first phase of a recipe over many seeds: how many begin?",
    "leaderboard": "compare all recipes for 28x28 images, each with the same budget",
    "export": "make a model for Paddle Inference",
    "playground": "make a page to play with a generator in",
    "publish": "put weights, card, grid and export of a run into one folder",
    "invert": "find the z (or w) whose image is nearest to yours",
    "walk": "make a film of a walk through the latent space",
    "film": "make a film of how the samples of a run grew",
    "report": "make one HTML page of a run, or of several",
    "bench": "measure how fast recipes train here",
    "convert": "make what the zoo reads of others' weights",
    "collapse": "train on data of known modes and count those that are found",
    "data": "make image sets",
}
"""Modules of ``ppgan_zoo.commands`` and what they do, in the order of ``--help``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0 when all is well; 2 with one line on standard error for whatever the user can
    mend; 130, 143 and 129 after Ctrl-C, SIGTERM and SIGHUP.
    """
    _open_streams()
    tell_warnings()
    try:
        given = sys.argv[1:] if arguments is None else list(arguments)
        named = [word for word in given if word in COMMANDS]
        options = command_parser(*named[:1]).parse_args(given)
        runtime.prepare()
        return _carry_out(options)
    except ZooError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED + signal.SIGINT
    except BrokenPipeError:  # such as "ppgan-zoo list | head -1"
        _silence_stdout()
        return 0
    except MemoryError:
        return _refuse("out of memory; make the batch, the images or the nets smaller")
    except OSError as error:  # a full disk, a folder that went away: not a bug
        _silence_stdout()
        return _refuse(f"{error.filename or 'the system'}: {error.strerror or error}")
    except ModuleNotFoundError as error:
        missing = (error.name or "ppgan_zoo").partition(".")[0]
        if missing == "ppgan_zoo":
            raise  # a bug of the zoo's
        return _refuse(f"{missing} is not installed; run: {how_to_install(missing)}")


def _carry_out(options: argparse.Namespace) -> int:
    """Run the command; only the zoo itself may end the process while it runs."""
    try:
        code: int = options.run(options)
        return code
    except Ended:
        raise
    except SystemExit as error:
        raise PluginError(
            f"something that {options.command} called ended the program (sys.exit "
            f"{error.code!r}) before its work was done; no part of the zoo does that: "
            "look for it in the plugins that are used here"
        ) from None


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


def _silence_stdout() -> None:
    """Let what was not written yet go nowhere, since the interpreter would try again at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        wrong = re.match(r"argument command: invalid choice: '([^']{1,80})'", message)
        if wrong:  # the names of all commands stand in --help
            message = f"unknown command {wrong[1]!r}{did_you_mean(wrong[1], COMMANDS)}"
        raise ConfigError(f"{message}; see: {self.prog} --help")


class _PrintCompletion(argparse.Action):
    """Prints the script of a shell; what makes it is imported for that alone."""

    def __call__(self, parser: argparse.ArgumentParser, *values: Any) -> None:
        """Print and end, as ``--help`` does; `values` are the namespace and the shell."""
        import shtab

        say(*shtab.complete(command_parser(*COMMANDS), values[1]).splitlines())
        parser.exit(0)


def command_parser(*commands: str) -> argparse.ArgumentParser:
    """Return a parser that knows the names of all commands, and what these of them take.

    A command's module is imported only for that: together they take longer than most of them run.
    """
    parser = _Parser(prog="ppgan-zoo", description="A plugin-style zoo of GANs for PaddlePaddle.")
    parser.add_argument("--version", action="version", version=f"ppgan_zoo {__version__}")
    parser.add_argument(
        "--print-completion", action=_PrintCompletion, choices=SHELLS,
        help="print a script by which a shell completes commands and options",
    )  # fmt: skip
    parsers = parser.add_subparsers(required=True, metavar="command")
    for name, what in COMMANDS.items():
        of_command = parsers.add_parser(name, help=what)
        of_command.set_defaults(command=name)
        if name in commands:
            import_module(f"ppgan_zoo.commands.{name}").add(of_command)
    return parser


def _refuse(message: str) -> int:
    """Print one line and return the exit code of a refusal."""
    # A name of any length is to leave room for what was wrong with it, and for the advice.
    line = LONG_WORD.sub(lambda word: f"{word[0][:80]}...{word[0][-40:]}", printable(message))
    if len(line) > LONGEST_LINE:  # a name of any length; the advice stands at the end
        line = f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"
    tell(f"ppgan-zoo: {line}")
    return 2
