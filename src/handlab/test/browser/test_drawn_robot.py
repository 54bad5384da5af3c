"""The robot in the browser's scene."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
import viser
import yourdfpy
from viser.extras import ViserUrdf

from handlab.browser.drawn_robot import SEEN, DrawnRobot, load_robot
from handlab_core.tasks import make_task
from handlab_sim.urdf import station_urdf


def urdf_of(name):
    task = make_task(name)
    return ElementTree.tostring(station_urdf(task.hand, task.fixture))


@pytest.fixture
def server():
    server = viser.ViserServer("127.0.0.1", 0, verbose=False)
    yield server
    server.stop()


@pytest.mark.parametrize("name", ["valve", "soft_bead"])
def test_meshes_have_the_colours_of_the_urdf_at_their_vertices(name):
    """Colours of faces would need scipy when the viewer copies a mesh."""
    text = urdf_of(name)
    plain, shown = yourdfpy.URDF.load(io.BytesIO(text)), load_robot(text)
    assert shown.scene.geometry
    for part, mesh in shown.scene.geometry.items():
        assert mesh.visual.kind == "vertex"
        own = plain.scene.geometry[part].visual.main_color
        np.testing.assert_array_equal(mesh.visual.main_color, own)


@pytest.mark.parametrize("name", ["valve", "flip", "soft_bead", "allegro_valve", "leap_valve"])
def test_every_frame_is_where_the_library_draws_it(server, name):
    """soft_bead has a joint that slides."""
    text = urdf_of(name)
    ours, theirs = (
        DrawnRobot(server, text),
        ViserUrdf(server, load_robot(text), root_node_name="/x"),
    )
    names = theirs.get_actuated_joint_names()
    assert set(ours.joints) == set(names)
    rng = np.random.default_rng(0)
    for _ in range(3):
        q = rng.uniform(-0.7, 0.7, len(names))
        ours.show(dict(zip(names, q.tolist(), strict=True)))
        theirs.update_cfg(q)
        for own, other in zip(ours._joint_frames, theirs._joint_frames, strict=True):
            np.testing.assert_allclose(own.position, other.position, atol=1e-9)
            alike = abs(np.dot(own.wxyz, other.wxyz))  # both signs are the same rotation
            assert alike == pytest.approx(1.0, abs=1e-9)


def test_only_what_moves_visibly_is_sent(server):
    robot = DrawnRobot(server, urdf_of("valve"))
    still = dict.fromkeys(robot.joints, 0.0)
    robot.show(still | {"FFJ12": 0.3, "MFJ21": 0.9 * SEEN})
    assert robot.drawn == still | {"FFJ12": 0.3}
    robot.show(still | {"FFJ12": 0.3, "MFJ21": 1.1 * SEEN})
    assert robot.drawn["MFJ21"] == 1.1 * SEEN
