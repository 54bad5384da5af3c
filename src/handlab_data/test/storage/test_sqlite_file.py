"""Databases: older schemas, and contents that cannot be stored data."""

import sqlite3

from handlab_data.storage.limits import MAX_RECORD


def test_a_database_before_iron_has_no_definitions_and_is_read(bags, recorded, tmp_path):
    bag = bags.write_bag(tmp_path / "bag", recorded, version=8)
    with sqlite3.connect(next(bag.glob("*.db3"))) as base:
        base.execute("DROP TABLE message_definitions")
        base.execute("DROP TABLE schema")
    bags.assert_same(bags.read(bag))


def test_a_database_that_never_ends_or_makes_its_data_up_is_refused(bags, recorded, tmp_path):
    endless = (
        "CREATE VIEW messages AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id FROM n) "
        "SELECT id, 1 AS topic_id, 0 AS timestamp, zeroblob(1000000) AS data FROM n"
    )
    large = (
        "CREATE TABLE messages (id INTEGER PRIMARY KEY, topic_id, timestamp, "
        "data AS (zeroblob(900000000)))"
    )
    for number, statement in enumerate((endless, large)):
        bag = bags.write_bag(tmp_path / str(number), recorded[:1])
        with sqlite3.connect(next(bag.glob("*.db3"))) as base:
            base.execute("DROP TABLE messages")
            base.execute(statement)
        assert "without a table messages" in bags.refusal(bag)


def test_a_database_with_a_message_larger_than_allowed_is_refused(bags, recorded, tmp_path):
    bag = bags.write_bag(tmp_path / "bag", recorded[:1])
    with sqlite3.connect(next(bag.glob("*.db3"))) as base:
        base.execute("INSERT INTO messages SELECT 9, 1, 0, zeroblob(?)", (MAX_RECORD + 1,))
    assert "64 MiB are allowed" in bags.refusal(bag)
