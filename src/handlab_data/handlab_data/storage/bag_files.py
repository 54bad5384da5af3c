"""Files of a bag in their order, by its metadata or by their names."""

import re
from pathlib import Path, PurePosixPath

from handlab_core.errors import BadDemonstrations
from handlab_core.system.files import read_yaml
from handlab_data.bag_folder import INFORMATION, METADATA
from handlab_data.storage.topic import reason

SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
SPLIT = re.compile(r"(?P<stem>.*?)(?:_(?P<number>\d+))?(?P<suffix>(?:\.mcap|\.db3)(?:\.zstd)?)")


def files_of(path: Path) -> tuple[list[Path], bool]:
    """Find the files of a bag in their order, and whether a finished metadata.yaml lists them."""
    if path.is_file():
        return [path], False
    if not path.is_dir():
        what = "is no file and no folder" if path.exists() else "does not exist"
        raise BadDemonstrations(f"{path} {what}; name the folder of a bag")
    metadata = path / METADATA
    files, finished = _listed(metadata) if metadata.is_file() else (_found(path), False)
    if missing := [file.name for file in files if not file.is_file()]:
        raise BadDemonstrations(
            f"{path} is not whole: {', '.join(missing[:5])} is listed in metadata.yaml and "
            "missing; copy it again, or run `ros2 bag reindex` for what there is"
        )
    return files, finished


def _listed(metadata: Path) -> tuple[list[Path], bool]:
    """Read the order of the files, which every version of rosbag2's metadata has.

    Until it ends, a recorder of ours leaves metadata that counts no messages.
    """
    advice = "repair it with `ros2 bag reindex`, or remove it"
    try:
        content = read_yaml(metadata, BadDemonstrations)
        information = content[INFORMATION]
        names, finished = information["relative_file_paths"], information.get("message_count") != 0
        # Before version 4 a path began with the bag's folder.
        files = [metadata.with_name(PurePosixPath(name).name) for name in names]
    except BadDemonstrations as error:
        raise BadDemonstrations(f"{error}; {advice}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadDemonstrations(
            f"{metadata} is no description of a bag ({reason(error)}); {advice}"
        ) from error
    if not files or len(set(files)) < len(files):
        what = "a file twice" if files else "no files"
        raise BadDemonstrations(f"{metadata} lists {what}; {advice}")
    return files, finished


def _found(path: Path) -> list[Path]:
    """Find the files where no metadata.yaml lists them: one, or those of one split bag."""
    found = [file for file in path.iterdir() if file.name.endswith(SUFFIXES)]
    if not found:
        raise BadDemonstrations(
            f"{path} is no bag: a folder with metadata.yaml, or with MCAP or sqlite3 files, is "
            "needed"
        )
    parts = [match for file in found if (match := SPLIT.fullmatch(file.name))]
    numbered = sorted(
        (int(part["number"] or 0), file) for part, file in zip(parts, found, strict=True)
    )
    first = numbered[0][0]
    whole = [number for number, _ in numbered] == list(range(first, first + len(found)))
    if len({(part["stem"], part["suffix"]) for part in parts}) > 1 or not whole:
        names = ", ".join(sorted(file.name for file in found)[:5])
        raise BadDemonstrations(
            f"{path} has no metadata.yaml, and {names} are not the parts of one bag, all of them: "
            "name one file, or run `ros2 bag reindex`"
        )
    return [file for _, file in numbered]
