"""Every link, path, module, verb and option that a document names exists."""

import ast
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from handlab.cli.program import UsageError, make_app
from handlab.reporting.generated_tables import read_results
from handlab_core.errors import HandlabError
from handlab_core.system.paths import share

ROOT = share()

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "urdf" / "SOURCE.md"])

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?\n(.*?)```|`([^`\n]+)`", re.DOTALL)
TOP = (
    "src|docs|config|launch|urdf|demos|policies|results|docker|examples|tools|\\.ci|"
    "handlab(?:_[a-z]+)?"
)
FILE = re.compile(rf"(?<![\w./:@*<-])(?:{TOP})/[\w./<>*{{}}-]*")
MODULE = re.compile(r"\bhandlab(?:_[a-z]+)?(?:\.\w+)+")
VERB = re.compile(r"\./handlab ([a-z]+)([^\n`#]*)")
COMMAND = re.compile(r"\./handlab ([a-z]+)((?:\\\n|[^\n#`|>&;)])*)")
LEFT_OPEN = re.compile(r"--[a-z-]+ \.\.\.")
"""An option whose value the reader chooses."""

NOT_A_FILE = re.compile(r"handlab/[\w-]+-v\d|handlab_interfaces/(msg|srv|action)/\w+$")
"""Names of Gymnasium, of Minari, and of ROS types."""

SUFFIXES = ("py", "xml", "yaml", "md")
"""Of files, in the place of the last part of a module's name."""

WRITTEN_BY_READER = {"src/handlab_core/handlab_core/tasks/quarter.py", "launch/quarter.launch.py"}
"""Files that a page has its reader write."""


def pages():
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in PAGES]


def code_in(text):
    """Return everything between backticks."""
    return [block or span for block, span in CODE.findall(text)]


def anchors(text):
    """Return the anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.strip().lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


@pytest.mark.parametrize("path", pages())
def test_every_link_leads_somewhere(path):
    for link in LINK.findall(path.read_text()):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        page = (path.parent / target).resolve() if target else path
        assert page.exists() and page.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(page.read_text()), link


def found(name):
    """Return whether a path exists: from the root, from src/, or inside a package of src/."""
    pattern = re.sub(r"<[^>]*>|\{[^}]*\}", "*", name).rstrip("/")
    package = pattern.split("/")[0]
    return any(
        next(folder.glob(pattern), None)
        for folder in (ROOT, ROOT / "src", ROOT / "src" / package)
        if folder.is_dir()
    )


@pytest.mark.parametrize("path", pages())
def test_every_path_in_a_document_exists(path):
    named = [name for text in code_in(path.read_text()) for name in FILE.findall(text)]
    named = [n for n in named if not NOT_A_FILE.match(n) and n not in WRITTEN_BY_READER]
    missing = [n for n in named if not found(n.rstrip(".-"))]
    assert not missing


def importable(name):
    """Return whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


@pytest.mark.parametrize("path", pages())
def test_every_module_in_a_document_can_be_imported(path):
    named = {n for text in code_in(path.read_text()) for n in MODULE.findall(text)}
    assert not [n for n in named if n.split(".")[-1] not in SUFFIXES and not importable(n)]


@pytest.mark.parametrize("path", pages())
def test_every_verb_and_option_in_a_document_is_one_of_the_command_line(path):
    verbs = typer.main.get_command(make_app()).commands
    for text in code_in(path.read_text()):
        for verb, words in VERB.findall(text):
            assert verb in verbs, verb
            command = verbs[verb]
            if command.context_settings.get("ignore_unknown_options"):
                continue  # reads its words itself
            known = {"--help"} | {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
            assert set(re.findall(r"--[a-z][a-z-]*", words)) <= known, (verb, words)


def refusal(verbs, verb, words):
    """Return why the command line refuses a command; None if it accepts it."""
    typed = shlex.split(LEFT_OPEN.sub("", words.replace("\\\n", " ")))
    if not typed:
        return None  # names the verb alone
    try:
        verbs[verb].make_context(verb, typed)
    except (UsageError, HandlabError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("path", pages())
def test_the_command_line_accepts_every_command_in_a_document(path):
    verbs = typer.main.get_command(make_app()).commands
    named = [c for text in code_in(path.read_text()) for c in COMMAND.findall(text)]
    refused = {" ".join(command): refusal(verbs, *command) for command in named}
    assert not {command: why for command, why in refused.items() if why}


@pytest.mark.parametrize(
    "words",
    [
        " valve --fast",
        " valve --hardware clay",
        " valve --seed one",
        " valve spare",
    ],
)
def test_a_command_with_a_wrong_option_value_or_spare_word_is_found(words):
    verbs = typer.main.get_command(make_app()).commands
    assert refusal(verbs, "train", words)


@pytest.mark.parametrize("path", pages())
def test_python_in_a_document_is_python(path):
    for text in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
        ast.parse(text)


def test_the_index_lists_every_page():
    text = (ROOT / "docs" / "index.md").read_text()
    listed = {Path(link).name for link in LINK.findall(text)}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"} <= listed


def test_the_page_of_results_has_every_kept_result():
    text = (ROOT / "docs" / "results.md").read_text()
    for name, result in read_results(ROOT / "results").items():
        assert f"`{result['command']}`" in text, name


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_pre_commit_has_the_versions_of_the_lock_file():
    lock = dict(
        line.split("==")
        for line in (ROOT / "requirements-test.lock").read_text().split()
        if "==" in line
    )
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    [ruff] = [repo["rev"] for repo in repos if "ruff" in repo["repo"]]
    [mypy] = [h["name"] for repo in repos for h in repo["hooks"] if h["id"] == "mypy"]
    assert ruff == f"v{lock['ruff']}" and mypy == f"mypy {lock['mypy']}"


@pytest.mark.timeout(300)  # a participant of DDS for each node, on a busy computer
def test_the_page_of_topics_is_that_of_the_nodes():
    command = [sys.executable, str(ROOT / "tools" / "topics_page.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
