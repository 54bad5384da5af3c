"""Set up `.venv`: what the `handlab` script runs before there is a command line.

Standard library only, because it is run by a bare Python. The environment is made in four steps,
each recorded with the fingerprint of its inputs, and recorded only when it is complete:

    environment    the virtual environment itself; the fingerprint is its place, Python and kind
    requirements   the locked packages
    workspace      the ament_cmake packages, installed by colcon into the same environment
    packages       the Python packages of the workspace, editable

A start repeats the first step whose record is missing or differs, and those after it: the quickest
comes last. After an interruption, at any point, the next start therefore goes on from the last
complete step.

Packages that only some verbs need are groups: `./handlab` installs a group, after these steps, when
the words of a command line first ask for it. A group has a record of its own.

There are two kinds of environment. Where ROS 2 is sourced, its rclpy and colcon are used; elsewhere
they are installed from wheels. Both are made for one distribution of ROS 2, Jazzy or Kilted.
"""

import errno
import fcntl
import filecmp
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

STAMP = "handlab.json"
LOG = "handlab-setup.log"
WORKSPACE = ("src/handlab_interfaces", "src/handlab_bringup")
VENDORED = ("third_party/tf2_msgs",)  # built only where ROS 2 lacks the package of that name
INSTALLED_FOLDERS = ("launch", "config", "urdf", "demos", "policies")
GROUPS = {
    "adroit": r"adroit|minari|D4RL",
    "onnx": r"^export( |$)|^bench pretrained|\.onnx\b|--pretrained",
    "test": r"^bench (wall|minutes_beside)",
}  # group of packages: words that ask for it; its lock is requirements-<group>.lock
ALL_GROUPS = r"^test( |$)"  # words that ask for all groups
NO_GROUP = r"--help"
USELESS = (
    "torch/include",  # to compile extensions of torch
    "torch/test",  # programs that test torch itself, as in bin
    "torch/bin/*[Tt]est*",
    "torch/bin/protoc*",
)  # parts of packages that nothing here opens, 190 MB
WITH_SYMBOLS = (
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libtorch_python.so",
    "zstandard/*.so",
)  # libraries that come with the symbols of a debugger, 120 MB
SAME = "same"  # a step returns it if it has changed nothing that later steps stand on
LOG_LINES_SHOWN = 15
LOOK_AGAIN = 0.5  # s; chosen: between two looks at the progress of a step
LINE_EVERY = 20.0  # s; chosen: between two lines of progress where there is no terminal
DISK_FULL = "No space left on device"
FULL_DISK = 10e6  # bytes; with less a tool may fail to say why it fails

# The wheels' CMake files name the folders of the machine that built them.
BUILD_INCLUDE = re.compile(r"/opt/python/[^/;\"]+/include/python3\.\d+")
BUILD_SITE_PACKAGES = re.compile(r"/opt/python/[^/;\"]+/lib/python3\.\d+/site-packages")

# What a failing tool prints, and what helps. The first match wins.
REMEDIES = (
    (
        DISK_FULL,
        "the disk is full: free 4 GB here and in the folder for temporary files (TMPDIR)",
    ),
    (
        r"NewConnectionError|name resolution|ConnectTimeout|ReadTimeout|ProxyError|SSLError"
        r"|Connection (refused|reset|aborted)|Network is unreachable|HTTP error (403|407|5\d\d)",
        "the package index cannot be reached: check the network, the proxy and `pip config list`",
    ),
    (
        r"No matching distribution found|is not a supported wheel|ResolutionImpossible",
        "the index has no build of this package for this Python and machine: set HANDLAB_PYTHON to"
        " another Python from 3.11 to 3.14, on 64-bit x86 Linux, or source ROS 2 Jazzy",
    ),
    (
        r"Python\.h: No such file|Could NOT find Python3",
        "the headers of Python are missing: sudo apt install python3-dev",
    ),
    (
        r"Killed signal terminated program|virtual memory exhausted",
        "the compiler ran out of memory: close other programs, or set MAKEFLAGS=-j1",
    ),
    (
        r"Permission denied|Read-only file system",
        "this folder cannot be written: check its owner, or clone handlab to a folder of yours",
    ),
)
NO_REMEDY = "mend what these lines name; to begin from nothing, remove .venv and start again"


class SetupError(Exception):
    """The set-up cannot go on; the message says why and what helps."""


@dataclass(frozen=True)
class Place:
    """Folder and kind of the environment."""

    root: Path
    sourced: bool  # ROS 2 is sourced in this shell
    distribution: str = "jazzy"  # of ROS 2

    @property
    def venv(self) -> Path:
        """The environment's folder."""
        name = ".venv" if self.distribution == "jazzy" else f".venv-{self.distribution}"
        return self.root / name

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.venv / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """The folder of the environment's packages."""
        (folder,) = self.venv.glob("lib/python3*/site-packages")
        return folder

    def group_lock(self, group: str) -> Path:
        """Return the lock file of a group of packages."""
        return self.root / f"requirements-{group}.lock"

    @property
    def locks(self) -> list[Path]:
        """The lock files that this kind of environment is made from."""
        kind = "ros" if self.distribution == "jazzy" else f"ros-{self.distribution}"
        both = [self.root / "requirements.lock", self.root / f"requirements-{kind}.lock"]
        return both[:1] if self.sourced else both


def workspace(place: Place) -> list[str]:
    """List the folders of the ament_cmake packages to build, relative to the checkout."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if place.sourced else []

    def installed(name: str) -> bool:
        shares = (Path(prefix, "share", name) for prefix in prefixes if prefix)
        return any(share.is_dir() and place.venv not in share.parents for share in shares)

    return [*WORKSPACE, *(path for path in VENDORED if not installed(Path(path).name))]


# Fingerprints -------------------------------------------------------------------------------------


def digest(paths: Iterable[Path], root: Path) -> str:
    """Hash the names, relative to `root`, and the contents of files."""
    total = hashlib.sha256()
    for path in sorted(paths):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(root).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def files_below(folder: Path) -> list[Path]:
    """List the files of a folder that an installation is made from."""
    left_out = {"__pycache__", "test"}
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not left_out & set(path.relative_to(folder).parts))


def fingerprints(place: Place, python: str) -> dict[str, str]:
    """Return the fingerprint of each step's inputs, for the Python of version `python`."""
    root, src = place.root, place.root / "src"
    sources = [path for folder in workspace(place) for path in files_below(root / folder)]
    # Installed as links: a new file needs the step, a new content does not.
    names = [p.relative_to(root) for top in INSTALLED_FOLDERS for p in files_below(root / top)]
    listing = hashlib.sha256("\n".join(map(str, names)).encode()).hexdigest()
    return {
        "environment": f"{root} | python {python} | ROS {'sourced' if place.sourced else 'wheels'}",
        "requirements": digest(place.locks, root),
        "workspace": digest([*sources, root / "colcon.meta"], root) + listing,
        "packages": digest([*src.glob("*/setup.*"), *src.glob("*/package.xml")], root),
    }


def read_stamp(venv: Path) -> dict[str, str]:
    """Return the fingerprints of the steps that are complete."""
    try:
        stamp = json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(venv: Path, done: Mapping[str, str]) -> None:
    """Record the complete steps; a reader sees the old record or the new one, never half of it."""
    draft = venv / f"{STAMP}.draft"
    draft.write_text(json.dumps(done, indent=1) + "\n")
    draft.replace(venv / STAMP)


def pending(done: Mapping[str, str], want: Mapping[str, str]) -> list[str]:
    """Name the steps to run: the first that is missing or differs, and those after it.

    Half an installation is not to be trusted: without a record of the requirements, all steps.
    """
    steps = list(want)
    stale = [step for step in steps if done.get(step) != want[step]]
    if not stale:
        return []
    return steps[steps.index(stale[0]) :] if "requirements" in done else steps


def groups_for(words: Sequence[str]) -> list[str]:
    """Name the groups of packages that a command line needs, which is given by its words."""
    line = " ".join(words)
    if re.search(ALL_GROUPS, line):
        return list(GROUPS)
    if re.search(NO_GROUP, line):
        return []
    return [group for group, pattern in GROUPS.items() if re.search(pattern, line)]


def missing_groups(place: Place, words: Sequence[str]) -> list[str]:
    """Name the groups of packages that a command line needs and that are not installed."""
    done = read_stamp(place.venv)
    return [
        group
        for group in groups_for(words)
        if done.get(group) != digest([place.group_lock(group)], place.root)
    ]


def wants_repair(words: Sequence[str]) -> bool:
    """Return whether a command line is `doctor --fix`."""
    return list(words[:1]) == ["doctor"] and "--fix" in words


def starts(place: Place) -> bool:
    """Return whether the command line starts, which itself finds the damage of other packages."""
    code = "import handlab.cli.program, handlab.machine.checks"
    env = tool_environment(place)
    done = subprocess.run([place.python, "-c", code], env=env, capture_output=True, check=False)
    return done.returncode == 0


def running_version() -> str:
    """Name the version of the running Python, as far as wheels care."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def up_to_date(place: Place, words: Sequence[str] = ()) -> bool:
    """Return whether no step and no group is left. Run by the environment's own Python."""
    if wants_repair(words) and not starts(place):
        return False
    steps = pending(read_stamp(place.venv), fingerprints(place, running_version()))
    return not steps and not missing_groups(place, words)


# Steps --------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Print a line on standard error, since standard output belongs to the verb."""
    sys.stderr.write(f"handlab: {text}\n")
    sys.stderr.flush()


def remedy(output: str) -> str:
    """Return the remedy for the failure that a tool has printed."""
    return next((text for pattern, text in REMEDIES if re.search(pattern, output)), NO_REMEDY)


class ProgressLine:
    """The progress of one step on standard error: a line in place, or now and then a line.

    Args:
        action: the words before the progress.
        look: returns the progress in words, empty if nothing is known yet.
    """

    def __init__(self, action: str, look: Callable[[], str]) -> None:
        self._action, self._look = action, look
        self._start = time.monotonic()
        self._last = self._start
        self._terminal = sys.stderr.isatty()

    def show(self) -> None:
        """Show the progress if it is time."""
        now = time.monotonic()
        if not self._terminal and now - self._last < LINE_EVERY:
            return
        self._last = now
        parts = [self._look(), f"{now - self._start:.0f} s"]
        text = f"handlab:   {self._action}: {', '.join(part for part in parts if part)}"
        if self._terminal:
            columns = shutil.get_terminal_size().columns
            sys.stderr.write(f"\r\x1b[K{text[: columns - 1]}")
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line to the next text."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def run(
    command: Sequence[str | Path],
    place: Place,
    env: Mapping[str, str],
    action: str = "working",
    look: Callable[[str], str] = lambda output: "",
) -> None:
    """Run a tool, its output going to the log of the set-up; show its progress.

    The tool inherits the lock of the set-up, so that one that outlives us is waited for.

    Args:
        command: the tool and its arguments.
        place: the environment.
        env: environment variables of the tool.
        action: the words before the progress.
        look: returns the progress, in words, for the output up to now.
    """
    log = place.venv / LOG
    with log.open("a+") as out:
        start = out.tell()

        def output() -> str:
            return log.read_bytes()[start:].decode(errors="replace")

        tool = subprocess.Popen(
            command, cwd=place.root, env=env, stdout=out, stderr=out, close_fds=False
        )
        progress = ProgressLine(action, lambda: look(output()))
        try:
            while True:
                try:
                    failed = tool.wait(LOOK_AGAIN)
                    break
                except subprocess.TimeoutExpired:
                    progress.show()
        finally:
            progress.end()
            if tool.poll() is None:  # we are interrupted; Ctrl-C has reached the tool as well
                tool.wait()
    if failed:
        text = output()
        tail = "\n".join(f"    {line}" for line in text.splitlines()[-LOG_LINES_SHOWN:])
        say(f"this step failed; the end of {log}:\n{tail}")
        full = shutil.disk_usage(place.venv).free < FULL_DISK
        raise SetupError(remedy(DISK_FULL if full else text))


def missing_packages(place: Place, steps: Sequence[str]) -> list[str]:
    """Name the Debian packages without which the steps would fail."""
    needed = {"cmake": "cmake", "make": "make", "c++": "g++"}
    if place.sourced:
        needed["colcon"] = "python3-colcon-common-extensions"
    missing = [package for tool, package in needed.items() if not shutil.which(tool)]
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        missing.append("python3-dev")
    if "environment" in steps and not (find_spec("venv") and find_spec("ensurepip")):
        missing.append("python3-venv")
    return missing


def make_environment(place: Place) -> None:
    """Make an empty virtual environment, in the place of an older one of ours."""
    venv = place.venv
    if venv.exists() and any(venv.iterdir()) and not (venv / STAMP).exists():
        raise SetupError(
            f"{venv} is not of handlab's making: move it away, mv {venv.name} {venv.name}.old"
        )
    say(f"making the virtual environment {venv.name}")
    venv.mkdir(exist_ok=True)
    write_stamp(venv, {})
    for entry in venv.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != STAMP:
            entry.unlink()
    base = getattr(
        sys, "_base_executable", sys.executable
    )  # not an environment's, maybe this one's
    # What comes with ROS leans on Debian's packages, launch on lark for one.
    options = ["--system-site-packages"] if place.sourced else []
    run([base, "-m", "venv", *options, venv], place, tool_environment(place), "environment")


def tool_environment(place: Place) -> dict[str, str]:
    """Return the environment variables for pip and colcon: those of this environment alone."""
    env = dict(os.environ)
    # ROS wheels restart a Python that lacks this; the tools need none of their libraries.
    env["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
    # colcon's own choice adds a limit of the load, which hardly lets a busy machine build.
    env.setdefault("MAKEFLAGS", f"-j{os.cpu_count() or 1}")
    if place.sourced:
        return env
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "COLCON_PREFIX_PATH"):
        env.pop(name, None)
    env["PATH"] = f"{place.venv / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(place.venv)
    return env


def pip(place: Place, *arguments: str | Path, count: int = 0) -> None:
    """Run `pip install` in the environment, with the user's own configuration of pip.

    Args:
        place: the environment.
        arguments: of `pip install`.
        count: number of packages to install, for the progress; 0: not known.
    """
    fixed = ["--no-input", "--no-deps", "--no-compile", "--progress-bar", "off"]
    command = [place.python, "-m", "pip", "install", *fixed, *arguments]
    env = {k: v for k, v in tool_environment(place).items() if k != "PYTHONPATH"}
    env["PYTHONUNBUFFERED"] = "1"  # its output is the progress
    before = number_installed(place)

    def look(output: str) -> str:
        return pip_progress(output, count, number_installed(place) - before)

    run(command, place, env, "packages", look)


def number_installed(place: Place) -> int:
    """Count the packages in the environment."""
    return len(list(place.site_packages.glob("*.dist-info")))


def pip_progress(output: str, count: int, installed: int) -> str:
    """Return the progress of pip in words.

    Args:
        output: of pip up to now.
        count: number of packages to install, 0 if not known.
        installed: number of packages installed up to now.
    """
    total = f" of {count}" if count else ""
    if "Installing collected packages" in output:
        return f"{installed}{total} installed"
    found = re.findall(r"^(?:Collecting|Processing) (\S+)", output, re.MULTILINE)
    return f"{len(found)}{total} fetched, now {found[-1]}" if found else ""


def locked_count(locks: Iterable[Path]) -> int:
    """Count the packages that lock files name."""
    lines = (line.strip() for lock in locks for line in lock.read_text().splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


def rewrite_build_paths(prefix: Path, include: Path, site_packages: Path) -> list[Path]:
    """Point the CMake files below `prefix` to its own Python; return the files that changed."""
    changed = []
    for path in sorted((prefix / "share").rglob("*.cmake")):
        if path.is_symlink():  # of our own workspace, and about to be built again
            continue
        old = path.read_text(encoding="utf-8", errors="surrogateescape")
        new = BUILD_INCLUDE.sub(lambda _: str(include), old)
        new = BUILD_SITE_PACKAGES.sub(lambda _: str(site_packages), new)
        if new != old:
            path.write_text(new, encoding="utf-8", errors="surrogateescape")
            changed.append(path)
    return changed


def ask_python(place: Place, code: str) -> str:
    """Return what the environment's Python prints, empty if there is none that runs."""
    # Without site-packages, which may be half installed; prefixes are then those of the base.
    command: list[str | Path] = [place.python, "-ISc", code]
    try:
        printed: str = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return printed.strip()


def install_requirements(place: Place) -> str | None:
    """Install the locked packages, and make the CMake files among them fit this machine.

    Returns:
        `SAME` if all packages were there, as after a lock that only names fewer of them.
    """
    same = is_installed(place, place.locks)
    if not same:
        say("installing the locked packages (some minutes the first time)")
        locks = (argument for lock in place.locks for argument in ("-r", lock))
        pip(place, *locks, count=locked_count(place.locks))
    remove_useless_parts(place)
    remove_symbols(place)
    if same:
        return SAME
    link_copies(place.venv / "lib")
    if not place.sourced:
        include = ask_python(place, "import sysconfig; print(sysconfig.get_path('include'))")
        rewrite_build_paths(place.venv, Path(include), place.site_packages)
    return None


def is_installed(place: Place, locks: Iterable[Path]) -> bool:
    """Return whether the packages of lock files are installed in exactly their versions."""
    lines = (
        line.partition(";")[0].strip() for lock in locks for line in lock.read_text().splitlines()
    )
    wanted = {tuple(line.split("==")) for line in lines if line and not line.startswith("#")}
    there = set()
    for record in place.site_packages.glob("*.dist-info/RECORD"):  # written last
        name, _, version = record.parent.name.removesuffix(".dist-info").partition("-")
        there.add((re.sub(r"[-_.]+", "-", name).lower(), version.partition("+")[0]))
    return wanted <= there


def remove_useless_parts(place: Place) -> None:
    """Remove the parts of packages that nothing here opens."""
    for pattern in USELESS:
        for path in place.site_packages.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def remove_symbols(place: Place) -> None:
    """Remove the symbols of a debugger from libraries, where binutils is installed."""
    if not (strip := shutil.which("strip")):
        return
    for pattern in WITH_SYMBOLS:
        for path in place.site_packages.glob(pattern):
            draft = path.with_suffix(".stripped")
            command = [strip, "--strip-unneeded", "-o", draft, path]
            done = subprocess.run(command, capture_output=True, check=False)
            if done.returncode == 0:
                draft.replace(path)
            else:  # the library works as it is
                draft.unlink(missing_ok=True)


def link_copies(folder: Path) -> None:
    """Replace equal libraries of several versions' names by links: a wheel holds no links."""
    seen: dict[tuple[str, int], list[Path]] = {}
    for path in sorted(folder.glob("lib*.so*"), key=lambda path: -len(path.name)):
        if path.is_symlink() or not path.is_file():
            continue
        same = seen.setdefault((path.name.partition(".so")[0], path.stat().st_size), [])
        for other in same:
            if filecmp.cmp(path, other, shallow=False):
                path.unlink()
                path.symlink_to(other.name)
                break
        else:
            same.append(path)


def install_group(place: Place, group: str) -> None:
    """Install a group of packages, which the verb of this command line needs."""
    lock = place.group_lock(group)
    if is_installed(place, [lock]):
        return
    say(f"installing the packages of {group}, once")
    pip(place, "-r", lock, count=locked_count([lock]))


def install_packages(place: Place) -> None:
    """Install the workspace's Python packages as links to their sources."""
    say("installing the workspace's Python packages")
    folders = [path.parent for path in sorted(place.root.glob("src/*/setup.py"))]
    editable = (argument for folder in folders for argument in ("-e", folder))
    pip(place, "--no-build-isolation", "--use-pep517", *editable, count=len(folders))


def build_workspace(place: Place) -> None:
    """Build the ament_cmake packages into the environment, where rclpy looks for them anyway."""
    folders = workspace(place)
    say(f"building {', '.join(Path(folder).name for folder in folders)} (takes a minute)")
    venv = place.venv
    colcon: list[str | Path] = ["colcon"] if place.sourced else [place.python, "-m", "colcon"]
    # A sourced ROS builds with the Python it was built for, which knows its generators.
    python = [] if place.sourced else ["--cmake-args", f"-DPython3_EXECUTABLE={place.python}"]
    run(
        [
            *colcon,
            *("--log-base", venv / "colcon-log", "build", "--merge-install", "--symlink-install"),
            *("--build-base", venv / "colcon-build", "--install-base", venv),
            *("--paths", *folders),
            *("--event-handlers", "console_direct+"),  # their percentages are the progress
            *python,
        ],
        place,
        tool_environment(place),
        "build",
        build_progress,
    )


def build_progress(output: str) -> str:
    """Return the progress of colcon in words: the package, and the percentage of CMake."""
    packages = re.findall(r"^Starting >>> (\S+)", output, re.MULTILINE)
    percentages = re.findall(r"^\[ *(\d+)%\]", output, re.MULTILINE)
    return f"{packages[-1]} {percentages[-1]} %" if packages and percentages else ""


STEPS = {
    "environment": make_environment,
    "requirements": install_requirements,
    "workspace": build_workspace,
    "packages": install_packages,
}


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock on a file, waiting for another set-up to end."""
    with path.open("r+") as held:
        os.set_inheritable(held.fileno(), True)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another start to finish the set-up")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def set_up(place: Place, words: Sequence[str] = ()) -> None:
    """Bring the environment up to date for a command line, one start at a time."""
    with exclusive(place.root / "requirements.lock"):
        done = read_stamp(place.venv)
        version = ask_python(place, "import sys; print('%d.%d' % sys.version_info[:2])")
        want = fingerprints(place, version)
        if done and wants_repair(words) and not starts(place):
            say("the environment is damaged: it is made again")
            write_stamp(place.venv, {})
            done = {}
        if steps := pending(done, want):
            _take(place, steps, done, want)
        for group in missing_groups(place, words):
            install_group(place, group)
            record = digest([place.group_lock(group)], place.root)
            write_stamp(place.venv, read_stamp(place.venv) | {group: record})


def _take(place: Place, steps: Sequence[str], done: dict[str, str], want: dict[str, str]) -> None:
    """Take steps one after the other, and record each."""
    if "environment" in steps:
        want = fingerprints(place, running_version())
    if missing := missing_packages(place, steps):
        raise SetupError(f"tools are missing: sudo apt install {' '.join(missing)}")
    # Only a build that was completed by the same tools may be continued.
    afresh = steps[0] != "workspace" or "workspace" not in done
    # Groups stand on the requirements; packages of theirs that are there are found again at once.
    groups = {} if "requirements" in steps else {k: v for k, v in done.items() if k in GROUPS}
    before, same = dict(done), False
    for step in steps:
        done = {name: done[name] for name in list(want)[: list(want).index(step)]} | groups
        if done:  # the first step judges for itself whether the folder is ours
            write_stamp(place.venv, done)
        if not same or before.get(step) != want[step]:
            if step == "workspace" and afresh:  # a build that stays is linked to
                shutil.rmtree(place.venv / "colcon-build", ignore_errors=True)
            same = STEPS[step](place) is SAME
        done[step] = want[step]
        write_stamp(place.venv, done)


def main(
    verb: str,
    root: Path,
    sourced: bool,
    distribution: str = "jazzy",
    words: Sequence[str] = (),
) -> int:
    """Check or set up the environment of the checkout at `root`; return the exit status."""
    place = Place(root, sourced, distribution)
    if verb == "check":
        return 0 if up_to_date(place, words) else 1
    try:
        set_up(place, words)
    except SetupError as err:
        say(str(err))
    except OSError as err:
        full = err.errno in (errno.ENOSPC, errno.EDQUOT)
        say(f"{err}: {remedy(DISK_FULL if full else str(err))}")
    except KeyboardInterrupt:
        say("interrupted; the next start takes the set-up up again")
        return 130
    else:
        return 0
    return 1


if __name__ == "__main__":
    source = bool(os.environ.get("ROS_DISTRO"))
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), source, sys.argv[3], sys.argv[4:]))
