"""Bags that unpack to gigabytes, or have records without end, are refused soon."""

import struct
import subprocess
import sys
import time

import lz4.frame
import pytest
import zstandard

from handlab_data.storage import limits
from handlab_data.storage.limits import MAX_RECORD, MIB
from handlab_data.storage.mcap_file import MCAP_MAGIC


def record(opcode, content):
    return struct.pack("<BQ", opcode, len(content)) + content


def chunk(data, compression=b"", size=None, packed=None):
    packed = data if packed is None else packed
    head = struct.pack("<QQQII", 0, 0, len(data) if size is None else size, 0, len(compression))
    return record(6, head + compression + struct.pack("<Q", len(packed)) + packed)


def mcap(*records):
    return MCAP_MAGIC + record(1, bytes(8)) + b"".join(records)


def zeros(size):
    """Zero bytes, packed by zstd."""
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


GIB = 1024 * MIB


BOMBS = {
    "one chunk of 2 GiB": lambda: mcap(chunk(b"", b"zstd", 2 * GIB, zeros(2 * GIB))),
    "a chunk larger than it says": lambda: mcap(chunk(b"", b"zstd", 9, zeros(GIB))),
    "many chunks": lambda: mcap(*[chunk(b"", b"zstd", MAX_RECORD, zeros(MAX_RECORD))] * 33),
    "one chunk by lz4": lambda: mcap(
        chunk(b"", b"lz4", MAX_RECORD, lz4.frame.compress(bytes(MAX_RECORD)))
    ),
    "a compressed file": lambda: zeros(2 * GIB),  # is no bag by its first bytes
    "a compressed file that is MCAP": lambda: zstandard.compress(mcap(record(9, bytes(64 * MIB)))),
    "a record of an impossible length": lambda: mcap(struct.pack("<BQ", 6, 2**63)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_bag_that_unpacks_to_gigabytes_is_refused(tmp_path, bomb):
    """At once, and without the memory."""
    path = tmp_path / "bomb.mcap"
    path.write_bytes(BOMBS[bomb]())
    program = (
        "import resource, sys, time\n"
        "from handlab_core.errors import BadDemonstrations\n"
        "from handlab_data.demonstration_reader import read_recording\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before, began = peak(), time.monotonic()\n"
        "try:\n    read_recording(__import__('pathlib').Path(sys.argv[1]))\n"
        "except BadDemonstrations as error:\n"
        "    print(peak() - before, time.monotonic() - began, error)\n"
    )
    words = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    grown, took, message = done.stdout.split(maxsplit=2)
    assert int(grown) < 300 * 1024, grown  # KiB
    assert float(took) < 60.0
    assert "refused" in message or "ends within" in message or "is no" in message


ENDLESS = {
    "zero records": lambda: mcap(chunk(bytes(32 * MIB))),
    "empty private records": lambda: mcap(chunk(record(0x80, b"") * 1000)),
    "a chunk in a chunk": lambda: mcap(chunk(chunk(chunk(b"")))),
    "zero records in the file": lambda: mcap(bytes(32 * MIB)),
    "a channel longer than its record": lambda: mcap(
        record(4, struct.pack("<HHIIII", 1, 1, 1, 2**31, 3, 2**31))
    ),
    "a message shorter than its head": lambda: mcap(record(5, b"abc")),
}


@pytest.mark.parametrize("fault", ENDLESS)
def test_records_that_lead_nowhere_end(bags, tmp_path, fault):
    path = tmp_path / "a.mcap"
    path.write_bytes(ENDLESS[fault]())
    began = time.monotonic()
    assert "it has no demonstration/session" in bags.refusal(path)
    assert time.monotonic() - began < 60.0


def test_more_records_than_allowed_are_refused(bags, recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_RECORDS", 100)
    assert "more than 100 records" in bags.refusal(bags.write_mcap(tmp_path / "a.mcap", recorded))
    assert "more than 100 records" in bags.refusal(bags.write_bag(tmp_path / "bag", recorded))
