"""Bags written by other programs than ours, and their demonstrations as they must be read."""

import tempfile
import time
from copy import deepcopy
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import yaml
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, StoragePlugin, Writer

from handlab_core.errors import BadDemonstrations
from handlab_core.system.paths import share
from handlab_core.tasks import make_task
from handlab_data.bag_messages import place
from handlab_data.bag_writer import typestore
from handlab_data.demonstration_reader import read_demonstrations
from handlab_data.storage.bag import Bag

ACCEPTED = 2
"""Kind of mark, as in `DemonstrationMark.msg`."""


class Recorded(list):
    """Messages of a bag: (topic, type name, log time [ns], message)."""

    def on(self, topic):
        return [message for name, _, _, message in self if name == topic]

    def rename(self, change):
        return Recorded((change(name), kind, at, message) for name, kind, at, message in self)


class Bags:
    """Writes bags as other programs do, and compares what is read from them."""

    task = make_task("valve")
    source = share() / "demos" / "valve"
    collect = Recorded

    @cached_property
    def _first_two(self):
        found, accepted, types = Recorded(), 0, typestore()
        for at, (topic, data) in enumerate(Bag(self.source).messages(place)):
            message = types.deserialize_cdr(data, topic.type)
            found.append((topic.name, topic.type, at * 1_000_000, message))
            accepted += topic.name == "/demonstration/mark" and message.kind == ACCEPTED
            if accepted == 2:
                return found
        raise AssertionError

    def original(self):
        """The first two demonstrations of the valve that come along."""
        return deepcopy(self._first_two)

    @cached_property
    def expected(self):
        """The episodes of `original`."""
        return read_demonstrations(self.source, self.task)[:2]

    @cached_property
    def content(self):
        """The bytes of an MCAP file of `original`."""
        with tempfile.TemporaryDirectory() as folder:
            return self.write_mcap(Path(folder) / "a.mcap", self.original()).read_bytes()

    def write_mcap(
        self, path, recorded, compression=CompressionType.NONE, chunk=64 * 1024, **changed
    ):
        """Write with the reference implementation of MCAP."""
        types, channels = typestore(), {}
        with path.open("wb") as file:
            writer = McapWriter(file, compression=compression, chunk_size=chunk, **changed)
            writer.start("ros2")
            for topic, kind, at, message in recorded:
                if topic not in channels:
                    definition, _ = types.generate_msgdef(kind, ros_version=2)
                    schema = writer.register_schema(kind, "ros2msg", definition.encode())
                    channels[topic] = writer.register_channel(topic, "cdr", schema)
                data = bytes(types.serialize_cdr(message, kind))
                writer.add_message(channels[topic], at, data, at)
            writer.finish()
        return path

    def write_bag(self, path, recorded, plugin=StoragePlugin.SQLITE3, version=9, compression=None):
        """Write a whole bag with rosbags."""
        types, connections = typestore(), {}
        writer = Writer(path, version=version, storage_plugin=plugin)
        if compression is not None:
            writer.set_compression(compression, CompressionFormat.ZSTD)
        with writer:
            for topic, kind, at, message in recorded:
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=types)
                writer.write(connections[topic], at, types.serialize_cdr(message, kind))
        return path

    def split(self, recorded, folder, names):
        """Write a bag in parts of these names, with metadata.yaml in this order."""
        folder.mkdir()
        size = -(-len(recorded) // len(names))
        for i, name in enumerate(names):
            self.write_mcap(folder / name, recorded[i * size : (i + 1) * size])
        return self.describe(folder, names)

    def describe(self, folder, names, **changed):
        """Write metadata.yaml."""
        facts = {"version": 9, "storage_identifier": "mcap", "relative_file_paths": list(names)}
        content = yaml.safe_dump({"rosbag2_bagfile_information": facts | changed})
        (folder / "metadata.yaml").write_text(content)
        return folder

    def read(self, path):
        return read_demonstrations(path, self.task)

    def refusal(self, path):
        """Return the message that refuses a bag."""
        with pytest.raises(BadDemonstrations) as caught:
            self.read(path)
        message = str(caught.value)
        assert "\n" not in message and len(message) < 2000
        return message

    def assert_same(self, read, expected=None, but=()):
        expected = self.expected if expected is None else expected
        assert len(read) == len(expected)
        for one, other in zip(read, expected, strict=True):
            assert (one.key, one.time) == (other.key, other.time)
            assert one.outcome == other.outcome or "outcome" in but
            for name, array in one.arrays.items():
                if name not in but:
                    np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)

    def judge(self, path):
        """Read; every episode must be one of the right ones, and it must end soon."""
        began = time.monotonic()
        try:
            read = self.read(path)
        except BadDemonstrations as error:
            assert "\n" not in str(error)
            read = []
        assert time.monotonic() - began < 60.0
        right = {episode.number: episode for episode in self.expected}
        for episode in read:
            self.assert_same([episode], [right[episode.number]])


@pytest.fixture(scope="session")
def bags():
    return Bags()


@pytest.fixture
def recorded(bags):
    return bags.original()
