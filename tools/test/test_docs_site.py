"""Links of the site lead where those of the repository lead; no folder is forgotten."""

import importlib.util
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("docs_site", ROOT / "tools" / "docs_site.py")
docs_site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(docs_site)

PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize(
    ("source", "link", "place"),
    [
        ("docs/claw.md", "images/wiring.svg", "images/wiring.svg"),
        ("docs/index.md", "../CONTRIBUTING.md", "contributing.md"),
        ("README.md", "docs/images/valve.png", "images/valve.png"),
        ("README.md", "urdf/SOURCE.md", "numbers.md"),
        ("docs/gymnasium.md", "../examples/stable_baselines.py", "examples/stable_baselines.py"),
    ],
)
def test_a_link_leads_to_the_place_in_the_site(source, link, place):
    assert docs_site.site_link(source, link) == place


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "urdf/SOURCE.md", *PAGES]
)
def test_every_link_of_every_page_has_a_place_in_the_site(page):
    docs_site.translated(page, (ROOT / page).read_text())


def test_a_link_out_of_the_site_is_refused():
    with pytest.raises(ValueError, match=r"docs/x.md links to src/a.py, which the site lacks"):
        docs_site.site_link("docs/x.md", "../src/a.py")


def test_anchors_stay_and_foreign_links_too():
    text = "[a](../README.md#use-it) [b](https://x.org/y.md) [c](#here)"
    translated = docs_site.translated("docs/x.md", text)
    assert translated == "[a](first_run.md#use-it) [b](https://x.org/y.md) [c](#here)"


def test_every_module_has_a_place_in_the_reference():
    pages = dict(docs_site.reference_pages(ROOT / "src"))
    assert "::: handlab_core.tasks.valve\n" in pages["handlab_core.tasks"]
    listed = {
        line.removeprefix("::: ")
        for text in pages.values() for line in text.splitlines() if line.startswith("::: ")
    }  # fmt: skip
    modules = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for package in (ROOT / "src").glob("handlab*")
        for path in (package / package.name).rglob("*.py")
        if not path.stem.startswith("__")
    }  # fmt: skip
    assert modules <= listed


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text().split("\nnav:")[1]
    named = {
        page for section in yaml.safe_load(text) for value in section.values()
        for entry in ([{"": value}] if isinstance(value, str) else value) for page in entry.values()
    }  # fmt: skip
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert named == pages | {p for p in docs_site.SITE.values() if p.endswith(".md")}
