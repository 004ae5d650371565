"""What the site needs beside plain Markdown: links to files that are not pages become text."""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, files: Any, **_: Any) -> str:
    """Return a page whose links all lead to pages of the site, or elsewhere on the web.

    The pages are also read in the repository, where a link may lead to code or to a recipe. On
    the site the text of such a link is kept.
    """
    folder = posixpath.dirname(page.file.src_uri)

    def keep(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2]))
        if ":" in link[2] or files.get_file_from_path(target) or target.startswith("docs/"):
            return link[0]
        outside = target.startswith("../") or not target.endswith(".md")
        return link[1] if outside else link[0]

    return _LINK.sub(keep, markdown)
