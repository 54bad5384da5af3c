"""Only a bag is ever replaced by a recording."""

import pytest

from handlab_core.errors import BadConfig, HandlabError
from handlab_data.bag_folder import METADATA, check_bag_folder, clear_bag_folder


def make_bag(path, names=("bag.mcap",), listed=None):
    path.mkdir()
    for name in names:
        (path / name).write_bytes(b"x")
    lines = "".join(f"\n  - {name}" for name in (names if listed is None else listed)) or " []"
    (path / METADATA).write_text(f"rosbag2_bagfile_information:\n  relative_file_paths:{lines}\n")
    return path


@pytest.mark.parametrize("names", [(), ("bag.mcap",), ("bag_0.mcap", "bag_1.mcap")])
def test_a_bag_is_replaced(tmp_path, names):
    bag = make_bag(tmp_path / "bag", names)
    check_bag_folder(bag)
    assert bag.is_dir()
    clear_bag_folder(bag)
    assert not bag.exists()


def test_where_nothing_is_nothing_is_removed_or_left(tmp_path):
    check_bag_folder(tmp_path / "new" / "bag")
    clear_bag_folder(tmp_path / "new" / "bag")
    assert not list(tmp_path.iterdir())


def a_note(bag):
    (bag / "notes.txt").write_text("mine")


def a_folder(bag):
    (bag / "photos").mkdir()


def a_hidden_file(bag):
    (bag / ".git").write_text("gitdir: x")


def an_unlisted_recording(bag):
    (bag / "other.mcap").write_bytes(b"mine")


def no_metadata(bag):
    (bag / METADATA).unlink()


def metadata_of_something_else(bag):
    (bag / METADATA).write_text("relative_file_paths: [bag.mcap]\n")


def metadata_that_is_no_yaml(bag):
    (bag / METADATA).write_text("{")


def a_linked_recording(bag):
    (bag / "bag.mcap").rename(bag.parent / "elsewhere.mcap")
    (bag / "bag.mcap").symlink_to(bag.parent / "elsewhere.mcap")


def nothing_at_all(bag):
    for entry in bag.iterdir():
        entry.unlink()


def a_link(bag):
    bag.rename(bag.parent / "elsewhere")
    bag.symlink_to(bag.parent / "elsewhere")


def a_link_to_nothing(bag):
    clear_bag_folder(bag)
    bag.symlink_to(bag.parent / "elsewhere")


def a_file(bag):
    clear_bag_folder(bag)
    bag.write_text("mine")


@pytest.mark.parametrize(
    "change",
    [
        a_note, a_folder, a_hidden_file, an_unlisted_recording, no_metadata,
        metadata_of_something_else, metadata_that_is_no_yaml, a_linked_recording, nothing_at_all,
        a_link, a_link_to_nothing, a_file,
    ],
)  # fmt: skip
def test_what_is_not_a_bag_alone_is_refused_and_left_alone(tmp_path, change):
    bag = make_bag(tmp_path / "bag")
    change(bag)

    def everything():
        return {
            path: path.read_bytes() if path.is_file() else path.is_symlink()
            for path in tmp_path.rglob("*")
        }

    before = everything()
    for attempt in (check_bag_folder, clear_bag_folder):
        with pytest.raises(HandlabError) as refusal:
            attempt(bag)
        assert str(bag) in str(refusal.value) and "\n" not in str(refusal.value)
    assert everything() == before


def test_a_folder_that_cannot_hold_a_bag_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(HandlabError, match="file"):
        check_bag_folder(tmp_path / "file" / "bag")
    with pytest.raises(BadConfig, match="it holds"):
        check_bag_folder(tmp_path)
