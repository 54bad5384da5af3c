"""Our own recordings."""

from handlab_data.bag_writer import BagWriter, typestore
from handlab_data.demonstration_reader import read_recording


def test_our_own_recordings_carry_checksums(bags, recorded, tmp_path):
    """Of every chunk, those that are flushed as well."""
    types = typestore()
    writer, connections = BagWriter(tmp_path / "bag"), {}
    for count, (topic, kind, at, message) in enumerate(recorded):
        if topic not in connections:
            connections[topic] = writer.connect(topic, kind)
        writer.write(connections[topic], at, bytes(types.serialize_cdr(message, kind)))
        if count % 500 == 0:
            writer.flush()
    writer.close()
    bags.assert_same(bags.read(tmp_path / "bag"))
    [path] = (tmp_path / "bag").glob("*.mcap")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    recording = read_recording(tmp_path / "bag")
    assert "its checksum is wrong" in recording.damage[0] and not recording.whole
