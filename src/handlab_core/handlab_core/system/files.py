"""Read text, YAML and JSON of limited size; write files atomically.

Readers raise the error class that the caller names, with one line: the file, the fault, the place.
YAML is the core schema of YAML 1.2: `1e-3` is a number, dates and `yes` are text. A key may come
once only, and aliases are refused, because a few of them unfold to gigabytes.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from handlab_core.errors import BadConfig, CannotWrite, HandlabError, shown

MOST_YAML = 200_000
"""Bytes; largest YAML file that is read. Ours are below 10 kB."""

MOST_JSON = 64_000_000
"""Bytes; largest JSON file that is read: a million rows of metrics."""

SCRATCH = re.compile(r"\..+\.\d+")
"""Names of scratch files: a dot, the file's name, the number of the process that writes."""

_FLOAT = re.compile(
    r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
)
_TEXT, _NUMBER = "tag:yaml.org,2002:str", "tag:yaml.org,2002:float"


class _Loader(yaml.SafeLoader):
    """The safe loader with the scalars of YAML 1.2, without aliases and repeated keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                problem = f"the key {shown(key)} comes twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key if isinstance(key, Hashable) else None)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        return int(node.value)


class _Dumper(yaml.SafeDumper):
    """The safe dumper without aliases; it also quotes text that the loader takes for a number."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(_NUMBER, _FLOAT, list("-+0123456789."))
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def parse_yaml(text: str, name: str, error: type[HandlabError] = BadConfig) -> Any:
    """Return the value that YAML text stands for.

    Args:
        text: to parse.
        name: of the text in the message.
        error: raised for text that is not YAML.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        reason = problem.problem or problem.context or "cannot be parsed"
        raise error(f"{name} is not YAML that is read here: {reason}{place}") from None
    except yaml.YAMLError as problem:
        raise error(f"{name} is not YAML: {_one_line(problem)}") from None
    except RecursionError:
        raise error(f"{name} is nested too deeply") from None
    except ValueError as problem:  # a number of thousands of digits
        raise error(f"{name} holds a value that cannot be read: {_one_line(problem)}") from None


def parse_json(text: str, name: str, error: type[HandlabError] = BadConfig) -> Any:
    """Return the value that JSON text stands for; raise `error` if it is not JSON."""
    try:
        return json.loads(text, object_pairs_hook=_each_key_once)
    except RecursionError:
        raise error(f"{name} is nested too deeply") from None
    except ValueError as problem:
        raise error(f"{name} is damaged: {_one_line(problem)}") from None


def dump_yaml(value: Any) -> str:
    """Return plain data as YAML that `parse_yaml` reads back, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False)


def read_yaml(path: Path, error: type[HandlabError] = BadConfig) -> dict[str, Any]:
    """Read a YAML file that holds keys and values."""
    return _mapping(parse_yaml(read_text(path, error, MOST_YAML), str(path), error), path, error)


def read_json(path: Path, error: type[HandlabError] = BadConfig) -> dict[str, Any]:
    """Read a JSON file that holds keys and values."""
    return _mapping(parse_json(read_text(path, error), str(path), error), path, error)


def read_text(path: Path, error: type[HandlabError] = BadConfig, most: int = MOST_JSON) -> str:
    """Read a regular file of UTF-8 text.

    Args:
        path: of the file.
        error: raised if it is not there, no regular file, too large, or not UTF-8.
        most: bytes; largest file that is read.
    """
    return _decoded(read_bytes(path, error, most), path, error)


def read_bytes(path: Path, error: type[HandlabError] = BadConfig, most: int = MOST_JSON) -> bytes:
    """Read a regular file of at most `most` bytes; raise `error` if that cannot be done."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise error(f"cannot read {path}: it is {kind}, and a file is needed")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as problem:
        raise error(f"cannot read {shown_path(path)}: {problem.strerror}") from None
    except ValueError as problem:  # a NUL in the name
        raise error(f"cannot read {shown_path(path)}: {problem}") from None
    if len(content) > most:
        raise error(f"{path} has more than {most} bytes; it is no file of ours")
    return content


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace a file in one step.

    Raises:
        CannotWrite: the disk, the folder or the user's rights do not allow it; the old file is
            unchanged and no scratch file stays behind.
    """
    data = content.encode() if isinstance(content, str) else content

    def write(scratch: Path) -> None:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    produce_atomically(path, write)


def produce_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Have a library write a file under another name, then give it its own in one step.

    Args:
        path: of the file.
        write: called with the path of a scratch file in the same folder; its suffix says nothing of
            the format.

    Raises:
        CannotWrite: as `write_atomically`.
    """
    with writing(path):
        if not path.name or path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(scratch)
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)


def remove_scratch(folder: Path) -> None:
    """Remove the scratch files that a killed process left in a folder, if it is there."""
    for path in folder.glob(".*"):
        if SCRATCH.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses within into one sentence.

    Raises:
        CannotWrite: names the path and the reason.
    """
    try:
        yield
    except OSError as error:
        raise CannotWrite(path, error) from error


def check_writable(folder: Path) -> None:
    """Refuse a folder that nothing can be written into, before hours are spent on its contents.

    Missing folders are made, and removed again, so that a later refusal leaves nothing behind.

    Raises:
        CannotWrite: names the folder and the reason.
    """
    with writing(folder):
        missing = [part for part in (folder, *folder.parents) if not part.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"
        try:
            with probe.open("wb") as file:
                file.write(b"0")
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
            for part in missing:
                with suppress(OSError):  # another process uses it already
                    part.rmdir()


def shown_path(path: Path) -> str:
    """Return a path for a message: escaped and shortened where it is long or has odd characters."""
    text = str(path)
    return text if text.isprintable() and len(text) <= 300 else shown(text)


def _decoded(content: bytes, path: Path, error: type[HandlabError]) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as problem:
        raise error(f"{path} is not UTF-8 text: byte {problem.start + 1} is wrong") from None


def _mapping(value: Any, path: Path, error: type[HandlabError]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise error(f"{path} must hold keys and values, not {shown(value)}")
    strange = [key for key in value if not isinstance(key, str)]
    if strange:
        raise error(f"{path} has the key {shown(strange[0])}; keys must be text")
    return value


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"the key {shown(name)} comes twice")
        made[name] = value
    return made


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200]
