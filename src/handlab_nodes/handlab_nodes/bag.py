"""rosbag2 bags with MCAP storage, written without ROS's own recorder."""

from functools import cache
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

VERSION = 9
"""Of rosbag2's metadata; Jazzy's."""


@cache
def typestore() -> Typestore:
    """Definitions of all messages that travel in the graph."""
    store = get_typestore(Stores.ROS2_JAZZY)
    folder = Path(get_package_share_directory("handlab_interfaces")) / "msg"
    types: dict[str, Any] = {}
    for path in sorted(folder.glob("*.msg")):
        types |= get_types_from_msg(path.read_text(), f"handlab_interfaces/msg/{path.stem}")
    store.register(types)
    return store


def type_name(kind: type) -> str:
    """ROS name of a generated message class: `package/msg/Name`."""
    package = kind.__module__.split(".")[0]
    return f"{package}/msg/{kind.__name__}"


class BagWriter:
    """Writes serialised messages; the bag is an ordinary one to `ros2 bag`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = Writer(path, version=VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()

    def connect(self, topic: str, kind: type) -> Connection:
        """Announce a topic and its type."""
        return self._writer.add_connection(topic, type_name(kind), typestore=typestore())

    def write(self, connection: Connection, time_ns: int, data: bytes) -> None:
        """Add one message, as it came from the wire."""
        self._writer.write(connection, time_ns, data)

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()
