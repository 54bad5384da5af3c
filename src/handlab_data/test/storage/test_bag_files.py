"""Order of a bag's files, by metadata of every version or by their names."""

import pytest

from handlab_data.storage.limits import MIB


@pytest.mark.parametrize("names", [("z.mcap", "a.mcap", "k.mcap"), ("b_9.mcap", "b_10.mcap")])
def test_split_bags_are_read_in_the_order_of_the_metadata(bags, recorded, tmp_path, names):
    bags.assert_same(bags.read(bags.split(recorded, tmp_path / "bag", names)))


def test_parts_without_metadata_are_read_by_their_numbers(bags, recorded, tmp_path):
    names = [f"bag_{i}.mcap" for i in range(11)]
    folder = bags.split(recorded, tmp_path / "bag", names)
    (folder / "metadata.yaml").unlink()
    bags.assert_same(bags.read(folder))
    (folder / "bag_5.mcap").unlink()
    assert "not the parts of one bag" in bags.refusal(folder)


def test_a_part_that_is_missing_is_named(bags, recorded, tmp_path):
    folder = bags.split(recorded, tmp_path / "bag", ("bag_0.mcap", "bag_1.mcap"))
    (folder / "bag_1.mcap").unlink()
    assert "bag_1.mcap is listed in metadata.yaml and missing" in bags.refusal(folder)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 8, 9, 12])
def test_every_version_of_the_metadata_is_read(bags, recorded, tmp_path, version):
    """Before version 4 the paths begin with the bag's folder; later ones may add keys."""
    folder = bags.split(recorded, tmp_path / "bag", ("bag_0.mcap",))
    name = "bag/bag_0.mcap" if version < 4 else "bag_0.mcap"
    bags.describe(folder, [name], version=version, something_new={"a": [1]})
    bags.assert_same(bags.read(folder))


BAD_METADATA = {
    "garbage": b"\xff\x00\x01",
    "unclosed": b"rosbag2_bagfile_information: {",
    "list": b"- 1\n- 2\n",
    "empty": b"",
    "no files": b"rosbag2_bagfile_information: {relative_file_paths: []}",
    "numbers": b"rosbag2_bagfile_information: {relative_file_paths: [1, 2]}",
    "twice": b"rosbag2_bagfile_information: {relative_file_paths: [a.mcap, a.mcap]}",
    "deep": b"[" * 100_000,
    "huge": b"#" * (2 * MIB),
    "elsewhere": b"rosbag2_bagfile_information: {relative_file_paths: [../../../etc/passwd]}",
    "itself": b"rosbag2_bagfile_information: {relative_file_paths: [metadata.yaml]}",
    "python": b"!!python/object/apply:os.system ['true']",
}


@pytest.mark.parametrize("fault", BAD_METADATA)
def test_metadata_that_describes_no_bag_is_refused(bags, recorded, tmp_path, fault):
    (tmp_path / "metadata.yaml").write_bytes(BAD_METADATA[fault])
    bags.write_mcap(tmp_path / "a.mcap", recorded)
    assert str(tmp_path) in bags.refusal(tmp_path)
