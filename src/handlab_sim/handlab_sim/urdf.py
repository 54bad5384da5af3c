"""Expansion of xacro files to URDF."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import xacro

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


def station_urdf(hand: Hand, fixture: Fixture) -> ElementTree.Element:
    """Merge the URDFs of hand and object, which share the link `world`, into one robot."""
    robot = ElementTree.fromstring(urdf_string(hand.urdf))
    robot.set("name", f"{hand.name}_{fixture.name}")
    known = {(part.tag, part.get("name")) for part in robot}
    for part in ElementTree.fromstring(urdf_string(fixture.urdf, fixture.arguments)):
        if (part.tag, part.get("name")) not in known:
            robot.append(part)
    return robot
