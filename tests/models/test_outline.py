"""What the sources of models say of them, against what the imported specs hold."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

from ppgan_zoo.commands.list import _say_models
from ppgan_zoo.models.outline import OTHER_FAMILY, Outline, read_outline
from ppgan_zoo.models.spec import FAMILIES
from ppgan_zoo.registry import MODELS, Source


@pytest.mark.parametrize("name", sorted(MODELS.built_in))
def test_the_source_says_what_the_spec_holds(name):
    spec = MODELS.get(name)
    outline = read_outline(MODELS.sources()[name].target)
    assert outline.family == spec.family and spec.family in FAMILIES
    assert (outline.paper, outline.labels, outline.terms) == (spec.paper, spec.labels, spec.terms)
    assert outline.year and outline.year in spec.paper
    assert outline.summary and not outline.summary.endswith(".")


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_a_page_that_names_its_models(family):
    text = (ROOT / "docs" / "models" / f"{family}.md").read_text(encoding="utf-8")
    for name in MODELS.built_in:
        if MODELS.get(name).family == family:
            assert f"`{name}" in text


def test_a_plugin_is_read_and_not_run(tmp_path, monkeypatch):
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "__init__.py").write_text("raise SystemExit(3)")
    (tmp_path / "stranger" / "net.py").write_text(
        '"""A stranger\'s net.\n\nMore."""\nraise SystemExit(3)\n'
        'OTHER = GanSpec(paper="B 1999, U")\n'
        'SPEC = GanSpec(name="x", paper=f"{1}", labels="takes", terms=("r1", 2), family=None)\n'
        'LATER = GanSpec(paper="A et al. 2031, T", family="mine")\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert read_outline("stranger.net:SPEC") == Outline(
        "A stranger's net", labels="takes", terms=("r1",)
    )
    assert read_outline("stranger.net:LATER").year == "2031"
    assert read_outline("stranger.net:LATER").family == "mine"
    assert read_outline("stranger.net:NONE").family == OTHER_FAMILY
    assert "stranger" not in sys.modules


@pytest.mark.parametrize("text", [b"def (", b"\xff\xfe", b"x = " + b"(" * 10000])
def test_a_source_that_cannot_be_read_is_said_to_be_one(tmp_path, monkeypatch, text):
    (tmp_path / "broken_net.py").write_bytes(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert read_outline("broken_net:SPEC").summary == "(cannot be read)"


def test_a_family_of_a_plugin_is_listed_after_the_zoos(capsys):
    sources = {"one": Source("ppgan_zoo", "a:B"), "two": Source("someone", "c:D")}
    _say_models(sources, {"two": Outline("Two", family="mine"), "one": Outline("One", "classic")})
    lines = capsys.readouterr().out.splitlines()
    assert lines.index(FAMILIES["classic"]) < lines.index("mine")
    assert [line.split() for line in lines[-2:]] == [["two", "no", "[someone]"], ["Two"]]


def test_list_groups_the_models_by_family():
    done = subprocess.run(
        [sys.executable, "-m", "ppgan_zoo", "list"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    titles = [lines.index(title) for title in FAMILIES.values()]
    assert titles == sorted(titles)
    place = next(place for place, line in enumerate(lines) if line.startswith("r3gan "))
    row = ["r3gan", "Huang et al. 2024", "28 to 256", "if wanted", "r1, r2"]
    assert re.split("  +", lines[place]) == row
    assert lines[place + 1].startswith("    R3GAN: residual nets")
    assert all(len(line) <= 100 for line in lines[: place + 2])


@pytest.mark.parametrize(
    ("paper", "cited"),
    [
        (
            "Mirza and Osindero 2014, Conditional Generative Adversarial Nets",
            "Mirza and Osindero 2014",
        ),
        ("A title without authors of more than thirty characters, 2031", "2031"),
        ("Unpublished", ""),
        ("", ""),
    ],
)
def test_a_paper_is_cited_by_authors_and_year(paper, cited):
    assert Outline("A net", paper=paper).citation == cited
