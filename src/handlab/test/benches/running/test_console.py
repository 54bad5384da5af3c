"""The delay that the bench of the console measures, on a scene that is known."""

import time

import numpy as np
import pytest
import viser

from handlab.benches.running import console


@pytest.fixture
def server():
    found = viser.ViserServer("127.0.0.1", 0, verbose=False)
    yield found
    found.stop()


def test_a_page_reads_the_angle_of_the_link_when_it_turns(server):
    frame = server.scene.add_frame(f"/visual/{console.LINK}")
    other = server.scene.add_frame("/visual/other")
    page = console.Page(server.get_port())
    try:
        end = time.monotonic() + 60.0
        while not server.get_clients():
            assert time.monotonic() < end
            time.sleep(0.05)
        page.angles.clear()
        other.wxyz = (0.0, 1.0, 0.0, 0.0)
        began = time.monotonic()
        frame.wxyz = (np.cos(0.15), 0.0, -np.sin(0.15), 0.0)
        while not page.angles:
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        page.close()
    [(at, angle)] = page.angles
    assert angle == pytest.approx(0.3, abs=1e-5) and at >= began
