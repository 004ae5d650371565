"""What the site needs beside plain Markdown: links to other files, tables of both languages."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)]*)?\)")
SHARED = re.compile(r'^\[[^\]]*\]\((\S+\.md)#(\S+) "tables"\)$', re.MULTILINE)
_HEADING = re.compile(r"^#+ (.*)$")


def on_page_markdown(markdown: str, *, page: Any, files: Any, **_: Any) -> str:
    """Return a page whose links all lead to pages of the site, or elsewhere on the web.

    The pages are also read in the repository, where a link may lead to code or to a recipe. On
    the site the text of such a link is kept, and a page is named without its ending. A paragraph
    that is one link with the title "tables" is replaced by the tables and pictures of the section
    that it leads to.
    """
    folder = posixpath.dirname(page.file.src_uri)
    source = Path(page.file.src_dir) / folder

    def keep(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2]))
        if files.get_file_from_path(target) and link[1].endswith(".md"):
            name = posixpath.basename(link[1]).removesuffix(".md").replace("_", " ")
            return f"[{name}]({link[2]}{link[3] or ''})"
        if ":" in link[2] or files.get_file_from_path(target) or target.startswith("docs/"):
            return link[0]
        outside = target.startswith("../") or not target.endswith(".md")
        return link[1] if outside else link[0]

    shared = SHARED.sub(lambda link: tables_of(source / link[1], link[2]), markdown)
    return _LINK.sub(keep, shared)


def tables_of(page: Path, anchor: str) -> str:
    """Return the tables and pictures of one section of a page, in their order.

    Raises:
        ValueError: The page has no such section, or no table in it.
    """
    blocks, inside, fenced = [], False, False
    for block in page.read_text(encoding="utf-8").split("\n\n"):
        code, fenced = fenced, fenced ^ (block.count("```") % 2 == 1)
        if code:
            continue
        if heading := _HEADING.match(block):
            inside = _slug(heading[1]) == anchor
        elif inside and block.startswith(("|", "![")):
            blocks.append(block)
    if not any(block.startswith("|") for block in blocks):
        raise ValueError(f"{page}: no table below #{anchor}")
    return "\n\n".join(blocks)


def _slug(heading: str) -> str:
    """Return the anchor of a heading, as Python-Markdown and GitHub make it."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())
