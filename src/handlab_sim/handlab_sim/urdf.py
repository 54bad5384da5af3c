"""Expansion of xacro files to URDF, and the files of their meshes."""

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import xacro

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.system import paths


def urdf_string(name: str, arguments: Mapping[str, str] | None = None) -> str:
    """Expand a xacro file below urdf/ to URDF text."""
    return _expanded(paths.urdf(name), tuple(sorted((arguments or {}).items())))


@lru_cache(maxsize=256)
def _expanded(path: Path, arguments: tuple[tuple[str, str], ...]) -> str:
    """Expand a xacro file; cached, since expansion takes ten times as long as compilation."""
    return str(xacro.process_file(str(path), mappings=dict(arguments)).toxml())


MESH_FORMATS = (".obj", ".stl")
"""Formats of meshes that both MuJoCo and browsers read."""


def station_urdf(hand: Hand, fixture: Fixture) -> ElementTree.Element:
    """Merge the URDFs of hand and object, which share the link `world`, into one robot.

    Meshes have absolute paths in it.

    Raises:
        BadConfig: the file of a mesh cannot be found, or has another format.
    """
    robot = _with_mesh_paths(hand.urdf, urdf_string(hand.urdf), hand.meshes)
    robot.set("name", f"{hand.name}_{fixture.name}")
    known = {(part.tag, part.get("name")) for part in robot}
    text = urdf_string(fixture.urdf, fixture.arguments)
    for part in _with_mesh_paths(fixture.urdf, text):
        if (part.tag, part.get("name")) not in known:
            robot.append(part)
    return robot


def mesh_file(filename: str, folders: Sequence[Path]) -> Path:
    """Return the absolute path of a mesh.

    Args:
        filename: as in the URDF: a path, `file://...` or `package://<package>/...`.
        folders: folders of the description and of its meshes. A package is looked for in them,
            among their parents, and where ROS has installed it.

    Raises:
        BadConfig: there is no such file, or its format is not one of MESH_FORMATS.
    """
    if filename.startswith("package://"):
        package, _, rest = filename.removeprefix("package://").partition("/")
        above = [parent for folder in folders for parent in (folder, *folder.parents)]
        prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
        places = [parent / package / rest for parent in above]
        places += [parent / rest for parent in above if parent.name == package]
        places += [Path(prefix, "share", package, rest) for prefix in prefixes]
        places += [folder / rest for folder in folders]
    else:
        places = [folder / filename.removeprefix("file://") for folder in folders]
    found = next((place.resolve() for place in places if place.is_file()), None)
    if found is None:
        raise BadConfig(
            f"there is no mesh {filename} in {', '.join(map(str, folders))}; "
            "name its folder in the hand's `meshes`"
        )
    if found.suffix.lower() not in MESH_FORMATS:
        raise BadConfig(f"{found} is no {' or '.join(MESH_FORMATS)} file; convert the mesh")
    return found


def _with_mesh_paths(name: str, text: str, meshes: str = "") -> ElementTree.Element:
    """Return a description whose meshes have absolute paths.

    Args:
        name: path of its xacro file below urdf/.
        text: its URDF.
        meshes: another folder of its meshes.
    """
    robot = ElementTree.fromstring(text)
    folders = [paths.urdf(name).parent, *([Path(meshes).expanduser()] if meshes else [])]
    for mesh in robot.iter("mesh"):
        mesh.set("filename", str(mesh_file(mesh.get("filename", ""), folders)))
    return robot
