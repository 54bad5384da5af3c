"""Count words that plain technical English avoids: `tools/check_words.py [--list] [FOLDER]`.

Counted are docstrings, comments, messages and help (string literals with a space) of the packages,
and the pages. Code in pages, names between backticks and paths are left out.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIMIT = 0.5
"""Highest number of uses of each pattern per 10,000 words."""

AVOIDED = {
    "shall": r"\bshall\b",
    "tell": r"\b(tells?|told|telling)\b",
    "anew": r"\banew\b",
    "somebody": r"\b(some|no)body\b",
    "so many": r"\bso (many|much|long|often)\b(?! as)",
    "nothing else but": r"\bnothing (else )?but\b",
    "by whom": r"\bby whom\b",
    "what is": r"\bwhat (it|is|are|was|were)\b",
    "who waits": r"(?:^|[,.;:(] )\bwho(ever)? (?!(will|can|may|must)\b)\w+s\b",
}  # fmt: skip
"""Pattern of each avoided word, in lower case."""

HEADLESS = re.compile(r"(Of|So|What|Who|Times|How|Where|By|In the|As JSON)\b")
"""First word of a docstring that does not name its noun."""

PACKAGES = re.compile(r"^(src/(handlab\w*)/\2/|(launch|examples|tools)/[\w.]+$)")
PAGE = re.compile(r"^(\w+\.md|docs/\w+\.md|urdf/SOURCE\.md)$")

QUOTED = re.compile(r"`[^`]*`|```.*?```|<!--.*?-->|\(https?://[^)]*\)|\S*[/_]\S*", re.DOTALL)
WORD = re.compile(r"[A-Za-z][A-Za-z']*")


@dataclass(frozen=True)
class Text:
    """One piece of prose: its place, and whether it is a docstring."""

    path: str
    line: int
    text: str
    docstring: bool = False


@dataclass(frozen=True)
class Use:
    """One use of an avoided word."""

    word: str
    path: str
    line: int
    text: str


def texts(root: Path) -> Iterator[Text]:
    """Return the prose of all packages and pages below a folder."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix == ".py" and PACKAGES.match(name) and name != "tools/check_words.py":
            yield from python_texts(path.read_text(), name)
        elif PAGE.match(name):
            yield from page_texts(path.read_text(), name)


def python_texts(source: str, name: str) -> Iterator[Text]:
    """Return docstrings, comments and string literals of a module."""
    nodes = list(ast.walk(ast.parse(source)))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        docstring = id(node) in docstrings
        if docstring or " " in node.value:
            yield Text(name, node.lineno, node.value, docstring)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and "noqa" not in token.string:
            yield Text(name, token.start[0], token.string.lstrip("# "))


def page_texts(source: str, name: str) -> Iterator[Text]:
    """Return the lines of a page, without its code."""
    blank = re.sub(r"```.*?```", lambda m: "\n" * m[0].count("\n"), source, flags=re.DOTALL)
    for number, line in enumerate(blank.splitlines(), 1):
        yield Text(name, number, line)


def count(found: Iterator[Text] | list[Text]) -> tuple[int, list[Use]]:
    """Return the number of words and all uses of avoided ones."""
    words, uses = 0, []
    for piece in found:
        plain = QUOTED.sub(" ", piece.text)
        words += len(WORD.findall(plain))
        low = " ".join(plain.lower().split())
        for word, pattern in AVOIDED.items():
            uses += [
                Use(word, piece.path, piece.line, low[max(0, m.start() - 30) : m.end() + 30])
                for m in re.finditer(pattern, low)
                if "?" not in low[m.end() :]  # a question
            ]
        if piece.docstring and HEADLESS.match(piece.text):
            uses.append(Use("headless docstring", piece.path, piece.line, piece.text[:60]))
    return words, uses


def rates(root: Path) -> dict[str, float]:
    """Return the uses of each avoided word per 10,000 words."""
    words, uses = count(list(texts(root)))
    totals = Counter(use.word for use in uses)
    names = (*AVOIDED, "headless docstring")
    return {name: round(1e4 * totals[name] / max(words, 1), 2) for name in names}


def main() -> int:
    """Print the rates; return 1 if one is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--list", action="store_true", help="print every use")
    given = parser.parse_args()
    if given.list:
        for use in count(list(texts(given.folder)))[1]:
            print(f"{use.path}:{use.line}: {use.word}: {use.text}")
    found = rates(given.folder)
    for name, rate in found.items():
        print(f"{name:20} {rate:6.2f} per 10,000 words")
    return int(max(found.values()) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
