"""All pages: commands are right, links lead somewhere, and the two languages say the same."""

import importlib.util
import re
import shlex
from itertools import takewhile

import pytest
from conftest import ROOT

from ppgan_zoo.cli import command_parser
from ppgan_zoo.collapse.recipes import collapse_recipe
from ppgan_zoo.commands.collapse import _overrides
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe
from ppgan_zoo.registry import MODELS, OBJECTIVES, WEIGHTS

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "README_cn.md", *sorted(DOCS.rglob("*.md"))]
PAIRS = [(ROOT / "README.md", ROOT / "README_cn.md"), *(
    (page.with_name(page.name.replace(".zh.md", ".md")), page)
    for page in PAGES if page.name.endswith(".zh.md"))]  # fmt: skip
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INNERMOST_LOOP = re.compile(r"\bfor (\w+) in ([^;]*); do\b((?:(?!\bfor\b).)*?)\bdone\b", re.DOTALL)
FIGURE = re.compile(r"\d[\d,]*\.\d+|\d+,\d{3}(?:,\d{3})*")
NAMED = re.compile(r"`(ppgan-zoo [a-z]+ [^`]*)`")  # a command within a line


def name_of(path):
    return str(path.relative_to(ROOT))


def pair_name(value):
    return name_of(value) if hasattr(value, "parts") else None


def blocks(page, language):
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for kind, text in found if kind == language]


def shown(page):
    """Return the commands of a page's blocks, without comments, with its loops written out."""
    found = []
    for block in blocks(page, "sh"):
        text = block.replace("\\\n", " ")
        while loop := INNERMOST_LOOP.search(text):
            turns = [loop[3].replace(f"${loop[1]}", value) for value in loop[2].split()]
            text = text.replace(loop[0], "\n".join(turns))
        found += [shlex.split(line, comments=True) for line in text.splitlines()]
    return [command for command in found if command]


def zoo_commands():
    commands = {}
    for page in PAGES:
        for command in shown(page):
            if command[0] == "ppgan-zoo":
                words = takewhile(lambda word: word != ">", command[1:])
                commands.setdefault(tuple(words), name_of(page))
    return [pytest.param(c, id=f"{page}: {' '.join(c)}") for c, page in commands.items()]


def check(command):
    """Parse a command, and load what it names from the zoo."""
    options = command_parser(command[0]).parse_args(command)
    if options.command == "collapse":
        collapse_recipe(options.test, _overrides(options))
    if options.command == "info":
        assert options.name in {*MODELS.names(), *WEIGHTS.names()}
    names = getattr(options, "config", None) or getattr(options, "recipe", None) or []
    for name in [names] if isinstance(names, str) else names:
        if name != "RECIPE" and not name.endswith(".yml"):  # a reader's own file
            load_recipe(find_recipe(name), getattr(options, "overrides", []))


@pytest.mark.parametrize("command", zoo_commands())
def test_a_command_is_understood(command):
    check(list(command))


def test_the_commands_that_repeat_results_are_understood():
    commands = NAMED.findall((DOCS / "results.md").read_text(encoding="utf-8"))
    repeated = [shlex.split(command)[1:] for command in commands if "output/" in command]
    assert len(repeated) >= 7
    for command in repeated:
        check(command)
        if command[0] == "search":
            assert (ROOT / command[1]).is_file()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_objectives_exist(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(BLOCK, "", text)):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
    for name in re.findall(r"--objective (\w+)", text):
        assert name in OBJECTIVES.names() or name == "NAME", name


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=pair_name)
def test_both_languages_show_the_same_commands_and_pictures(english, chinese):
    def commands(page):
        placeholders = {"<this": "<", "<本仓库>": "<", "repository>": "", "zh": "en"}
        words = [[placeholders.get(word, word) for word in command] for command in shown(page)]
        return [[word for word in command if word] for command in words]

    def pictures(page):
        return re.findall(r"!\[[^\]]*\]\(([^)]*)\)", page.read_text(encoding="utf-8"))

    shared = re.search(r' "tables"\)', chinese.read_text(encoding="utf-8"))
    assert commands(chinese) == commands(english)
    assert pictures(chinese) == pictures(english) or (
        shared and set(pictures(chinese)) <= set(pictures(english))
    )


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=pair_name)
def test_both_languages_hold_the_same_examples_and_figures(english, chinese):
    """What the Chinese page shows stands in the English one; comments may be translated."""
    for language in ("python", "yaml"):
        known = [re.sub(r"\s*#.*", "", block) for block in blocks(english, language)]
        for block in blocks(chinese, language):
            assert re.sub(r"\s*#.*", "", block) in known, block
    figures = set(FIGURE.findall(english.read_text(encoding="utf-8")))
    text = re.sub(r"[\d,.]+ [万亿]", "", chinese.read_text(encoding="utf-8"))  # other units
    assert set(FIGURE.findall(text)) - figures == set()


def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", DOCS / "site" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_that_share_tables_name_sections_that_have_some():
    shared = 0
    for page in PAGES:
        for path, anchor in hooks().SHARED.findall(page.read_text(encoding="utf-8")):
            assert "| --- |" in hooks().tables_of(page.parent / path, anchor)
            shared += 1
    assert shared >= 5


def test_the_tables_of_a_section_end_where_the_next_begins(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A\n\n| a |\n| - |\n\n## What's `b`?\n\nText.\n\n| b |\n| - |\n| 1 |\n\n"
                    "![p](p.png)\n\n```sh\n# not a heading\n\n| no |\n```\n\n# C\n\n| c |\n")  # fmt: skip
    tables = hooks().tables_of(page, "whats-b")
    assert tables == "| b |\n| - |\n| 1 |\n\n![p](p.png)"
    with pytest.raises(ValueError, match="no table below #d"):
        hooks().tables_of(page, "d")
