"""Write the table of all built-in models into the READMEs and docs, from the registry."""

import re
import sys
from functools import cache
from pathlib import Path

import _checkout  # noqa: F401
from _generated import keep_current

from ppgan_zoo import runtime
from ppgan_zoo.models.create import create
from ppgan_zoo.models.outline import read_outline
from ppgan_zoo.models.spec import FAMILIES
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import shipped_recipes
from ppgan_zoo.registry import MODELS

ROOT = Path(__file__).resolve().parent.parent
ENGLISH = "| model | paper | parameters G / D | multiply-adds per image G / D | recipes |"
CHINESE = "| 模型 | 论文 | 参数量 G / D | 每张图像的乘加次数 G / D | 配方 |"
PAGES = {
    "README.md": ENGLISH,
    "docs/models.md": ENGLISH,
    "README_cn.md": CHINESE,
    "docs/models.zh.md": CHINESE,
}
MARKED = re.compile(r"(<!-- models -->\n).*?(<!-- /models -->)", re.DOTALL)


@cache
def rows() -> tuple[str, ...]:
    """Return the rows of the table in Markdown, one for each built-in model."""
    runtime.start("cpu")
    from ppgan_zoo.models.cost import count_parameters, multiply_adds

    recipes: dict[str, list[str]] = {name: [] for name in MODELS.built_in}
    for recipe, path in shipped_recipes().items():
        recipes[load_recipe(path).model.name].append(f"`{recipe}`")
    found = []
    for name in sorted(MODELS.built_in, key=lambda name: _place(name)):
        gan = create(name)
        sizes = [count_parameters(net) for net in (gan.generator, gan.discriminator)]
        work = multiply_adds(gan)
        found.append(
            f"| `{name}` | {gan.spec.paper} | {sizes[0]:,} / {sizes[1]:,} | "
            f"{work[0]:,} / {work[1]:,} | {', '.join(recipes[name])} |"
        )
    return tuple(found)


def _place(name: str) -> tuple[int, str, str]:
    """Return where a model stands: by family, then by year, then by name."""
    outline = read_outline(MODELS.built_in[name])
    return list(FAMILIES).index(outline.family), outline.year, name


def with_table(page: Path, header: str) -> str:
    """Return the page's text with the table between its marks brought up to date."""
    text = page.read_text(encoding="utf-8")
    table = "\n".join([header, "| --- | --- | --- | --- | --- |", *rows()]) + "\n"
    updated, count = MARKED.subn(lambda marks: marks[1] + table + marks[2], text)
    if count != 1:
        raise SystemExit(f"{page}: needs one pair of <!-- models --> and <!-- /models -->")
    return updated


def pages() -> dict[Path, str]:
    """Return each page as it should be, by its file."""
    return {ROOT / name: with_table(ROOT / name, header) for name, header in PAGES.items()}


if __name__ == "__main__":
    sys.exit(keep_current("model_table.py", __doc__, pages))
