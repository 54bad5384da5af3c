"""MCAP files with every compression of chunks, and without chunks."""

import pytest
from mcap.writer import CompressionType


@pytest.mark.parametrize("compression", CompressionType)
def test_every_compression_of_chunks_is_read(bags, recorded, tmp_path, compression):
    bags.assert_same(bags.read(bags.write_mcap(tmp_path / "a.mcap", recorded, compression)))


def test_a_file_without_chunks_is_read(bags, recorded, tmp_path):
    path = bags.write_mcap(tmp_path / "a.mcap", recorded, use_chunking=False)
    bags.assert_same(bags.read(path))
