"""Hooks of the documentation site: pages from outside `docs/`, and one reference page per folder.

mkdocs calls the functions `on_...`. The site has each page under the name that `SITE` gives; links
between the pages are written as they are in the repository, and `site_link` translates them.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

SITE = {
    "README.md": "first_run.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "urdf/SOURCE.md": "numbers.md",
    **{f"examples/{name}.py": f"examples/{name}.py" for name in ("stable_baselines", "rlpd")},
}
"""Files of the repository outside `docs/`, and their places in the site."""

LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")


def site_place(path: str) -> str | None:
    """Return the place in the site of a file of the repository; None: it has none."""
    if path in SITE:
        return SITE[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else None


def site_link(source: str, link: str) -> str:
    """Return a link of a page as it is in the site.

    Args:
        source: path of the page in the repository.
        link: target as the page gives it, relative to the page and without anchor.

    Raises:
        ValueError: the target is not part of the site.
    """
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    place, here = site_place(target), site_place(source)
    if place is None or here is None:
        raise ValueError(f"{source} links to {target}, which the site lacks; name it in SITE")
    return posixpath.relpath(place, posixpath.dirname(here) or ".")


def translated(source: str, text: str) -> str:
    """Return the text of a page with its links as they are in the site."""
    return LINK.sub(lambda m: site_link(source, m[1]) + (m[2] or ""), text)


def reference_pages(src: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of a reference page for each folder of a package that has modules.

    Args:
        src: folder of the packages.
    """
    for package in sorted(src.glob("handlab*")):
        inside = package / package.name
        for folder in sorted({path.parent for path in inside.rglob("*.py")}):
            name = ".".join(folder.relative_to(package).parts)
            modules = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("__"))
            if modules:
                parts = [f"# {name}", f"::: {name}\n    options:\n      members: false"]
                parts += [f"::: {name}.{module}" for module in modules]
                yield name, "\n\n".join(parts) + "\n"


def on_config(config: Any) -> Any:
    """Put the reference pages into the navigation, by package."""
    names = [name for name, _ in reference_pages(ROOT / "src")]
    packages = sorted({name.split(".")[0] for name in names})
    pages = [
        {package: [{n: f"reference/{n}.md"} for n in names if n.split(".")[0] == package]}
        for package in packages
    ]
    config.nav.append({"Reference": pages})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not in `docs/`."""
    from mkdocs.structure.files import File

    for source, place in SITE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
    for name, text in reference_pages(ROOT / "src"):
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Translate the links of a page."""
    place = page.file.src_uri
    if place.startswith("reference/"):
        return markdown
    source = next((path for path, uri in SITE.items() if uri == place), f"docs/{place}")
    return translated(source, markdown)
