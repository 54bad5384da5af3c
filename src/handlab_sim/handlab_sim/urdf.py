"""From xacro files to URDF text."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

import xacro

from handlab_core import paths
from handlab_core.fixtures import Fixture
from handlab_core.hands import Hand


def urdf_string(name: str, arguments: Mapping[str, str] | None = None) -> str:
    """Expand a xacro below urdf/ to URDF text."""
    document = xacro.process_file(str(paths.urdf(name)), mappings=dict(arguments or {}))
    return str(document.toxml())


def station_urdf(hand: Hand, fixture: Fixture) -> ElementTree.Element:
    """Put the URDFs of hand and object, which share the link `world`, into one robot."""
    robot = ElementTree.fromstring(urdf_string(hand.urdf))
    robot.set("name", f"{hand.name}_{fixture.name}")
    known = {(part.tag, part.get("name")) for part in robot}
    for part in ElementTree.fromstring(urdf_string(fixture.urdf, fixture.arguments)):
        if (part.tag, part.get("name")) not in known:
            robot.append(part)
    return robot
