"""The page as one HTML file: the template, the style, the scripts and the models, all in it."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template

from ppgan_zoo.playground.model import PageModel
from ppgan_zoo.storage.files import read_regular

SCRIPTS = ("kernels.js", "interpreter.js", "latent.js", "gif.js", "words.js", "app.js")
"""In the order in which they are put together."""


def asset(name: str) -> str:
    """Return the text of a file of the page."""
    return read_regular(Path(__file__).with_name(name)).decode()


def page(models: Sequence[PageModel]) -> str:
    """Return the HTML of a page that holds models and asks nothing of any network.

    Names are text of strangers: in the title they are escaped as HTML, and in the data no ``<``
    is left that could end the script; the scripts put them into text nodes and attributes alone.
    """
    data = json.dumps([model.data for model in models], allow_nan=False)
    names = ", ".join(model.name for model in models)
    return Template(asset("page.html")).substitute(
        title=html.escape(f"GAN playground: {names}"),
        style=asset("style.css"),
        models=data.replace("<", "\\u003c"),
        script="\n".join(asset(name) for name in SCRIPTS),
    )
