"""The README's code runs as it stands, and both languages hold the same code."""

import re
import subprocess
import sys

from conftest import ROOT

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks(name):
    return BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))


def test_every_block_is_short():
    assert len(blocks("README.md")) >= 3
    for block in blocks("README.md"):
        assert len([line for line in block.splitlines() if line.strip()]) < 10


def test_the_blocks_run_in_order(tmp_path):
    script = "\n".join(blocks("README.md"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_both_languages_show_the_same_code():
    def code(name):  # comments may be translated
        return [re.sub(r"\s*#.*", "", block) for block in blocks(name)]

    assert code("README.md") == code("README_cn.md")


def test_every_shipped_recipe_and_model_is_in_the_readme():
    from ppgan_zoo import list_models
    from ppgan_zoo.recipe.shipped import shipped_recipes

    for name in ("README.md", "README_cn.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for known in list_models():  # what it is, and its paper
            assert text.count(f"\n| `{known}` | ") >= 2, (name, known)
        for known in shipped_recipes():
            assert f"\n| `{known}` | " in text, (name, known)
