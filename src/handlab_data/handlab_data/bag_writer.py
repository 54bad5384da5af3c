"""rosbag2 bags with MCAP storage, written without ROS's own recorder.

On the disk a bag is complete at any time: the newest messages are followed by the end of an MCAP
file, which the next messages overwrite. So the file opens even if the writer is killed.
"""

import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ament_index_python.packages import get_package_share_directory
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from handlab_core.system.files import dump_yaml
from handlab_data.bag_folder import INFORMATION, METADATA

VERSION: Literal[9] = 9
"""Version of rosbag2's metadata in ROS 2 Jazzy."""

DATA_END = struct.pack("<BQI", 0x0F, 4, 0)
FOOTER = struct.pack("<BQQQI", 0x02, 20, 0, 0, 0)
MAGIC = b"\x89MCAP0\r\n"
END = DATA_END + FOOTER + MAGIC
"""End of an MCAP file without a summary; mcap.dev/spec. It is shorter than any chunk."""

CRC_AT = 1 + 8 + 3 * 8
"""Bytes; offset of the checksum in a chunk record; mcap.dev/spec."""


@cache
def typestore() -> Typestore:
    """Return the definitions of all messages of the graph."""
    store = get_typestore(Stores.ROS2_JAZZY)
    folder = Path(get_package_share_directory("handlab_interfaces")) / "msg"
    types: dict[str, Any] = {}
    for path in sorted(folder.glob("*.msg")):
        types |= get_types_from_msg(path.read_text(), f"handlab_interfaces/msg/{path.stem}")
    store.register(types)
    return store


def type_name(kind: type) -> str:
    """Return the ROS name of a generated message class: `package/msg/Name`."""
    package = kind.__module__.split(".")[0]
    return f"{package}/msg/{kind.__name__}"


def offered_qos(latched: bool, depth: int) -> Qos:
    """Return the publishers' quality of service, which `ros2 bag play` will offer."""
    never = QosTime(sec=9223372036, nsec=854775807)  # as rosbag2 writes it
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        QosHistory.KEEP_LAST, depth, QosReliability.RELIABLE, durability, never, never,
        QosLiveliness.AUTOMATIC, never, False,
    )  # fmt: skip


def _unfinished(file: str) -> dict[str, Any]:
    """Return the metadata of a bag that is being written, with one file."""
    start: dict[str, Any] = {"starting_time": {"nanoseconds_since_epoch": 0}}
    nothing = start | {"duration": {"nanoseconds": 0}, "message_count": 0}
    return nothing | {
        "version": VERSION,
        "storage_identifier": "mcap",
        "relative_file_paths": [file],
        "topics_with_message_count": [],
        "compression_format": "",
        "compression_mode": "",
        "files": [{"path": file, **nothing}],
        "custom_data": None,
        "ros_distro": "rosbags",
    }


class _CheckedMcapWriter(McapWriter):
    """Writes MCAP files whose chunks carry their checksum, so that damage is found."""

    def close_chunk(self) -> None:
        """Write the pending chunk."""
        crc, start = zlib.crc32(self.chunk.bio.getbuffer()), self.bio.tell()
        super().close_chunk()
        end = self.bio.tell()
        self.bio.seek(start + CRC_AT)
        self.bio.write(struct.pack("<I", crc))
        self.bio.seek(end)


class _Writer(Writer):
    STORAGE_PLUGINS = {  # noqa: RUF012  (the library declares it so)
        **Writer.STORAGE_PLUGINS,
        StoragePlugin.MCAP: _CheckedMcapWriter,
    }


class BagWriter:
    """Writes serialised messages; the bag is an ordinary one to `ros2 bag`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = _Writer(path, version=VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        # The library writes metadata at the end. A bag needs it even if its writer is killed.
        (path / METADATA).write_text(dump_yaml({INFORMATION: _unfinished(f"{path.name}.mcap")}))
        self._waiting = 0

    def connect(
        self, topic: str, kind: type | str, latched: bool = False, depth: int = 10
    ) -> Connection:
        """Announce a topic and its type, a class or a name."""
        name = kind if isinstance(kind, str) else type_name(kind)
        return self._writer.add_connection(
            topic, name, typestore=typestore(), offered_qos_profiles=[offered_qos(latched, depth)]
        )

    def describe(self, facts: dict[str, str]) -> None:
        """Add facts to the bag's metadata."""
        for key, value in facts.items():
            self._writer.set_custom_data(key, value)

    def write(self, connection: Connection, time_ns: int, data: bytes) -> None:
        """Add one serialised message."""
        self._writer.write(connection, time_ns, data)
        self._waiting += 1

    def flush(self) -> None:
        """Write all messages so far to the file and complete it."""
        storage = self._writer.storage
        if not self._waiting or not isinstance(storage, McapWriter):
            return
        storage.close_chunk()
        end = storage.bio.tell()
        storage.bio.write(END)
        storage.bio.flush()
        storage.bio.seek(end)
        self._waiting = 0

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()
