"""Both storages, plain and compressed; damage costs the damaged part only."""

import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from handlab_data.storage.sqlite_file import SQLITE_MAGIC

LAWS = settings(
    max_examples=40, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@pytest.mark.parametrize("compression", [None, CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("plugin", StoragePlugin)
def test_both_storages_are_read_plain_and_compressed(bags, recorded, tmp_path, plugin, compression):
    bag = bags.write_bag(tmp_path / "bag", recorded, plugin, compression=compression)
    bags.assert_same(bags.read(bag))
    (bag / "metadata.yaml").unlink()  # each file says by itself how it is stored
    bags.assert_same(bags.read(bag))


def test_empty_and_foreign_files_are_no_bags(bags, tmp_path):
    for content, words in ((b"", "is empty"), (b"hello" * 1000, "neither an MCAP file nor")):
        (tmp_path / "a.mcap").write_bytes(content)
        assert words in bags.refusal(tmp_path / "a.mcap")
        assert words in bags.refusal(tmp_path)
    assert "does not exist" in bags.refusal(tmp_path / "nothing")
    assert "cannot be read" in bags.refusal(Path("x" * 300))
    assert "is no bag" in bags.refusal(tmp_path.parent)
    assert "no file and no folder" in bags.refusal(Path("/dev/zero"))
    (tmp_path / "b.db3").write_bytes(SQLITE_MAGIC + bytes(1000))
    assert "b.db3" in bags.refusal(tmp_path / "b.db3")


def test_a_chunk_that_is_damaged_costs_only_its_demonstration(bags, recorded, tmp_path, caplog):
    path = bags.write_mcap(tmp_path / "a.mcap", recorded, chunk=8 * 1024)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x10
    (tmp_path / "a.mcap").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        bags.assert_same(bags.read(tmp_path / "a.mcap"), bags.expected[1:])
    assert "the chunk at byte" in caplog.text and "1 whole episodes are used" in caplog.text


@LAWS
@given(data=st.data())
def test_a_bag_with_flipped_bytes_gives_the_right_episodes_or_none(bags, tmp_path, data):
    content = bytearray(bags.content)
    places = st.integers(0, len(content) - 1) | st.integers(0, 200) | st.integers(-200, -1)
    for at in data.draw(st.lists(places, min_size=1, max_size=4), "places"):
        content[at] ^= data.draw(st.integers(1, 255), "change")
    (tmp_path / "a.mcap").write_bytes(content)
    bags.judge(tmp_path / "a.mcap")


@LAWS
@given(begin=st.floats(0, 1), length=st.integers(1, 5000), insert=st.binary(max_size=50))
def test_a_bag_with_a_piece_cut_out_gives_the_right_episodes_or_none(
    bags, tmp_path, begin, length, insert
):
    content = bags.content
    at = int(begin * len(content))
    (tmp_path / "a.mcap").write_bytes(content[:at] + insert + content[at + length :])
    bags.judge(tmp_path / "a.mcap")
