"""The course has its chapters in both languages; tests/test_pages.py checks what stands in them."""

from conftest import ROOT

GUIDE = ROOT / "docs" / "guide"


def test_there_are_six_chapters_an_index_and_a_glossary_in_both_languages():
    pages = {path.name for path in GUIDE.glob("*.md")}
    chapters = {name for name in pages if not name.endswith(".zh.md")}
    assert len(chapters) == 8 and {"index.md", "glossary.md"} <= chapters
    assert pages - chapters == {name.replace(".md", ".zh.md") for name in chapters}
