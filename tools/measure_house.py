"""Measure the shape of this repository: `tools/measure_house.py [--json] [FOLDER]`.

| figure | meaning |
|---|---|
| siblings | most Python files and packages in one folder of a package, without `__init__.py` |
| test_siblings | most Python files and folders in one folder of tests |
| import_cycles | groups of modules that import each other when they are imported |
| own_imports | modules of this project that a module imports, mean |
| d401 | docstrings that do not begin with an imperative verb, by ruff |
| mirrored_tests | test files `test_<module>.py` in the folder of their module |
| tests_without_module | the other test files; allowed are those of the whole repository |
| mypy_coverage | share of the lines of all packages that mypy checks strictly |
"""

import argparse
import ast
import json
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from check_words import rates


def modules(root: Path) -> dict[str, Path]:
    """Return all modules of the packages below `src/`: dotted name to path."""
    found = {}
    for package in sorted((root / "src").glob("handlab*")):
        inside = package / package.name
        for path in sorted(inside.rglob("*.py")):
            parts = path.relative_to(package).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def siblings(root: Path) -> tuple[int, str]:
    """Return the largest number of Python files and packages in one folder, and that folder."""
    counts: Counter[str] = Counter()
    for path in modules(root).values():
        module = path.parent if path.name == "__init__.py" else path
        if module.parent.name != module.name or path.name != "__init__.py":
            counts[str(module.parent.relative_to(root))] += 1
    folder, number = counts.most_common(1)[0]
    return number, folder


def test_siblings(root: Path) -> tuple[int, str]:
    """Return the largest number of Python files and folders in one folder of tests, and it."""
    counts: Counter[str] = Counter()
    for tests in [*(root / "src").glob("*/test"), root / "tools" / "test"]:
        rooms = {path.parent for path in tests.rglob("*.py")}
        for room in rooms:
            inside = [p for p in rooms if p.parent == room] + list(room.glob("*.py"))
            counts[str(room.relative_to(root))] = len(inside)
    folder, number = counts.most_common(1)[0]
    return number, folder


def imported(path: Path, known: Mapping[str, Path], at_import: bool) -> set[str]:
    """Return the modules of this project that a module imports.

    Args:
        path: of the module.
        known: all modules.
        at_import: leave out imports inside functions and under TYPE_CHECKING.
    """
    tree = ast.parse(path.read_text())
    nodes = list(_at_import(tree)) if at_import else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in known else node.module)
    return found & set(known)


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _at_import(child)


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that reach each other (Tarjan's components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                groups.append(sorted(group))

    sys.setrecursionlimit(10_000)
    for name in graph:
        if name not in index:
            visit(name)
    return groups


def mirrored_tests(root: Path) -> tuple[int, int, list[str]]:
    """Return how many test files mirror a module, of how many, and the names of the others.

    A module `room/name.py` has its tests in `test/room/test_name.py`. A module with several test
    files has a folder `test/room/name/` for the others.
    """
    others, total = [], 0
    for tests in [*sorted((root / "src").glob("*/test")), root / "tools" / "test"]:
        code = tests.parent if tests.parent.name == "tools" else tests.parent / tests.parent.name
        for test in sorted(tests.rglob("test_*.py")):
            total += 1
            room = code / test.parent.relative_to(tests)
            name = test.stem.removeprefix("test_")
            modules = (room / f"{name}.py", room / f"__{name}__.py", room.with_suffix(".py"))
            if not any(module.is_file() for module in modules):
                others.append(str(test.relative_to(root)))
    return total - len(others), total, others


def mypy_coverage(root: Path) -> float:
    """Return the share of lines that mypy's settings name."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["mypy"]
    files = [root / file for file in settings["files"]]
    checked = total = 0
    for path in modules(root).values():
        lines = len(path.read_text().splitlines())
        total += lines
        checked += lines * any(path.is_relative_to(file) for file in files)
    return checked / total


def d401(root: Path) -> int:
    """Return the number of docstrings that ruff's D401 reports."""
    command = [sys.executable, "-m", "ruff", "check", "--select", "D401", "--isolated"]
    command += ["--config", "lint.pydocstyle.convention='google'", "--output-format", "json"]
    folders = [str(p / p.name) for p in sorted((root / "src").glob("handlab*")) if p.is_dir()]
    folders = [folder for folder in folders if Path(folder).is_dir()]
    done = subprocess.run([*command, *folders], capture_output=True, text=True)
    return len(json.loads(done.stdout))


def measure(root: Path) -> dict[str, Any]:
    """Return all figures of a checkout."""
    known = modules(root)
    graph = {name: imported(path, known, at_import=True) - {name} for name, path in known.items()}
    every = {name: imported(path, known, at_import=False) - {name} for name, path in known.items()}
    plain = [name for name, path in known.items() if path.name != "__init__.py"]
    number, folder = siblings(root)
    tests_number, tests_folder = test_siblings(root)
    mirrored, tests, others = mirrored_tests(root)
    return {
        "modules": len(plain),
        "siblings": number,
        "siblings_in": folder,
        "test_siblings": tests_number,
        "test_siblings_in": tests_folder,
        "import_cycles": len(cycles(graph)),
        "own_imports": round(sum(len(every[name]) for name in plain) / len(plain), 2),
        "d401": d401(root),
        "mirrored_tests": mirrored,
        "test_files": tests,
        "tests_without_module": others,
        "readme_lines": len((root / "README.md").read_text().splitlines()),
        "mypy_coverage": round(mypy_coverage(root), 3),
        "per_10000_words": rates(root),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    found = measure(given.folder.resolve())
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
