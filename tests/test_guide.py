"""The course: both languages have the same chapters, commands and pictures, and the commands are right."""

import re
import shlex

import pytest
from conftest import ROOT

from ppgan_zoo.cli import _parser
from ppgan_zoo.collapse.recipes import collapse_recipe
from ppgan_zoo.commands.collapse import _overrides
from ppgan_zoo.recipe.load import find_recipe, load_recipe
from ppgan_zoo.registry import OBJECTIVES

GUIDE = ROOT / "docs" / "guide"
CHAPTERS = sorted(path.name for path in GUIDE.glob("*.md") if not path.name.endswith(".zh.md"))
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def shown(page):
    """Return the commands of a page, without comments, with its loops written out."""
    found = []
    for block in BLOCK.findall((GUIDE / page).read_text(encoding="utf-8")):
        text = block.replace("\\\n", " ")
        loop = re.search(r"for (\w+) in ([^;]*); do(.*?)done", text, re.DOTALL)
        if loop:
            turns = [loop[3].replace(f"${loop[1]}", value) for value in loop[2].split()]
            text = text.replace(loop[0], "\n".join(turns))
        found += [shlex.split(line, comments=True) for line in text.splitlines()]
    return [command for command in found if command]


def zoo_commands():
    return [
        pytest.param(command[1:], id=f"{page}: {' '.join(command[1:])}")
        for page in CHAPTERS
        for command in shown(page)
        if command[0] == "ppgan-zoo"
    ]


def test_there_are_six_chapters_an_index_and_a_glossary():
    assert len(CHAPTERS) == 8 and {"index.md", "glossary.md"} <= set(CHAPTERS)


@pytest.mark.parametrize("page", CHAPTERS)
def test_both_languages_show_the_same(page):
    chinese = page.replace(".md", ".zh.md")
    placeholders = {"<this": "<", "<本仓库>": "<", "repository>": ""}
    plain = [
        [[placeholders.get(word, word) for word in command] for command in shown(name)]
        for name in (page, chinese)
    ]
    assert [[w for w in c if w] for c in plain[0]] == plain[1]
    pictures = [
        re.findall(r"!\[[^\]]*\]\(([^)]*)\)", (GUIDE / name).read_text(encoding="utf-8"))
        for name in (page, chinese)
    ]
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("command", zoo_commands())
def test_a_command_is_understood(command):
    options = _parser().parse_args(command)
    if options.command == "collapse":
        collapse_recipe(options.test, _overrides(options))
    if options.command == "train" and options.config and "own_pictures" not in options.config:
        needs = ["data.directory=pictures"] if options.config.endswith("_folder") else []
        load_recipe(find_recipe(options.config), [*needs, *options.overrides])


@pytest.mark.parametrize("path", sorted(GUIDE.glob("*.md")), ids=lambda path: path.name)
def test_links_and_names_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert (path.parent / target).exists(), target
    for name in re.findall(r"--objective (\w+)", text):
        assert name in OBJECTIVES.names() or name == "objective"
