"""Safe replacement of a bag's folder.

A recorder replaces the bag at a given path, and a path may be mistyped: a home folder, a run, a
link. Only a folder that holds a rosbag2 bag and no other file is removed.
"""

from pathlib import Path

from handlab_core.errors import BadConfig
from handlab_core.system.files import check_writable, read_yaml, writing

METADATA = "metadata.yaml"
"""Name of the file that makes a folder a rosbag2 bag, and lists the bag's other files."""

INFORMATION = "rosbag2_bagfile_information"
"""Only key of METADATA; https://github.com/ros2/rosbag2, rosbag2_storage."""


def check_bag_folder(path: Path) -> None:
    """Refuse a path that a bag cannot be written to, before anything is started.

    A free path is accepted, and so is a bag, which `clear_bag_folder` removes.

    Raises:
        BadConfig: the path holds something else; the message names it.
        CannotWrite: the disk, a folder above or the user's rights do not allow writing.
    """
    _files(path)
    check_writable(path.parent)


def clear_bag_folder(path: Path) -> None:
    """Remove the bag at a path, if there is one.

    Raises:
        BadConfig: the path holds something else; nothing is removed.
        CannotWrite: the folder or the user's rights do not allow the removal.
    """
    files = _files(path)
    with writing(path):
        for file in files:
            file.unlink()
        if files:
            path.rmdir()


def _files(path: Path) -> list[Path]:
    """Return the files of the bag at a path, the metadata last; empty: the path is free."""
    with writing(path):
        if path.is_symlink():
            raise BadConfig(_refusal(path, "it is a link"))
        if not path.exists():
            return []
        if not path.is_dir():
            raise BadConfig(_refusal(path, "it is a file"))
        inside = sorted(path.iterdir())
    strange = [
        entry.name
        for entry in inside
        if entry.is_symlink()
        or not entry.is_file()
        or (entry.name != METADATA and entry.suffix != ".mcap")
    ]
    if strange:
        raise BadConfig(_refusal(path, f"it holds {', '.join(strange[:3])}"))
    if not (path / METADATA).is_file():
        raise BadConfig(_refusal(path, f"it has no {METADATA}"))
    recorded = [entry for entry in inside if entry.name != METADATA]
    information = read_yaml(path / METADATA).get(INFORMATION)
    listed = information.get("relative_file_paths") if isinstance(information, dict) else None
    if listed != [entry.name for entry in recorded]:
        raise BadConfig(_refusal(path, f"its {METADATA} lists other files"))
    return [*recorded, path / METADATA]


def _refusal(path: Path, reason: str) -> str:
    return (
        f"{path} exists and is not just a bag: {reason}; choose another folder for the recording, "
        "or remove this one yourself"
    )
