"""What a plugin may do to a command: nothing that the command does not say."""

import itertools
import os
import sys
from dataclasses import replace

import pytest

from ppgan_zoo.cli import main
from ppgan_zoo.errors import Ended
from ppgan_zoo.registry import MODELS
from ppgan_zoo.storage.retention import list_checkpoints

EXITS = "import os, pathlib, sys\npathlib.Path('canary').touch()\nprint('I ran')\nsys.exit(0)\n"


def install(folder, modules, entry_points):
    """Install modules, by path, and their entry points, as pip would."""
    for path, text in modules.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    info = folder / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


def test_list_runs_nothing_of_a_plugin_not_even_its_parent_package(tmp_path, cli):
    environment = install(
        tmp_path / "site",
        {
            "outer/__init__.py": f'"""The outer package."""\n{EXITS}',
            "outer/inner/__init__.py": EXITS,
            "outer/inner/net.py": f'"""A net, in short.\n\nMore of it."""\n{EXITS}',
            "broken.py": "def",
            "escape.py": '"""Red \\x1b[31m and\x9b."""\n',
        },
        "[ppgan_zoo.models]\none = outer.inner.net:SPEC\ntwo = outer:SPEC\nthree = broken:SPEC\n"
        "four = escape:SPEC\nfive = gone.away:SPEC\nsix = outer.nothing:SPEC\nseven = /etc:x\n",
    )
    (tmp_path / "here").mkdir()
    done = cli("list", cwd=tmp_path / "here", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    rows = itertools.pairwise(done.stdout.splitlines())
    said = {row.split()[0]: summary for row, summary in rows if row.endswith("  [plugin]")}
    assert said["one"] == "    A net, in short"
    assert said["two"] == "    The outer package"
    assert said["three"] == "    (cannot be read)"
    assert r"Red \x1b[31m and\x9b" in said["four"]
    assert set(said) == {"one", "two", "three", "four", "five", "six", "seven"}
    assert not list((tmp_path / "here").iterdir()) and "I ran" not in done.stdout


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        (lambda: sys.exit(0), 2, "sys.exit 0"),
        (lambda: sys.exit("bye"), 2, "sys.exit 'bye'"),
        (lambda: sys.exit(143), 2, "sys.exit 143"),
    ],
)
def test_a_plugin_that_ends_the_program_in_the_midst_of_training_is_named(
    ending, code, said, tiny_recipe, tmp_path, capsys
):
    spec = MODELS.get("gan_mlp")

    class Ending(spec.generator):
        calls = 0

        def forward(self, z):
            Ending.calls += 1
            if Ending.calls == 20:
                ending()
            return super().forward(z)

    with MODELS.lent(replace(spec, generator=Ending)):
        found = main(
            ["train", "-c", str(tiny_recipe), "--offline", "--output", str(tmp_path / "run")]
        )
    assert found == code
    line = capsys.readouterr().err.splitlines()[-1]
    assert (
        line.startswith("ppgan-zoo: something that train called ended the program (")
        and said in line
    )
    # What was saved before is whole, and nothing was saved after.
    assert [c.iteration for c in list_checkpoints(tmp_path / "run" / "checkpoints")] == [4]


def test_the_zoo_itself_may_end_the_process(monkeypatch):
    from ppgan_zoo.commands import list as command

    def ending(options):
        raise Ended(143)

    monkeypatch.setattr(command, "_run", ending)
    with pytest.raises(Ended):
        main(["list"])
