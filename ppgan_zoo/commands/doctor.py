"""``ppgan-zoo doctor``: the machine and the installation, and what to mend."""

from __future__ import annotations

import argparse

from ppgan_zoo.commands.arguments import add_data_dir
from ppgan_zoo.storage.files import to_json
from ppgan_zoo.storage.terminal import say

MARKS = {"well": "ok  ", "note": "note", "mend": "MEND"}


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_data_dir(parser, "where the data sets are")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ppgan_zoo.run.doctor import examine, summary

    findings = []
    for finding in examine(options.data_dir):
        findings.append(finding)
        if options.format == "text":
            say(f"{MARKS[finding.state]}  {finding.name}: {finding.found}")
            if finding.advice:
                say(f"      {finding.advice}")
    answer = summary(findings)
    if options.format == "json":
        say(*to_json(answer).splitlines())
    return 0 if answer["well"] else 2
