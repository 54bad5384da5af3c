"""The bench of resets counts what happened."""

import numpy as np
import pytest

from handlab.benches.learning import resets
from handlab.benches.learning.resets import Count
from handlab_core.environment.station import LocalStation, start_request
from handlab_core.errors import ResetFailed
from handlab_core.reset.motor import MotorReset, Stage
from handlab_core.tasks import make_task
from handlab_core.types import Command
from handlab_sim.backend import MujocoBackend


@pytest.fixture
def task():
    return make_task("flip")


@pytest.fixture
def station(task):
    return LocalStation(task, MujocoBackend(task.hand, task.fixture, 3))


def jam(station, world, joint):
    """A joint of one world is jammed, away from home."""
    backend = station.backend._backend
    i = station.hand.index(joint)
    backend.batch.expand("dof_damping")[world, backend._qvel_at[i]] = 1e5
    q = backend.batch.bind("qpos")
    q[world, backend._qpos_at[i]] = station.hand.nominal[i] - 0.6
    backend.step(Command(backend.read().hand.q, np.zeros((3, 9))), None, 0.1)
    station.backend._reading = backend.read()


def test_one_stuck_robot_fails_alone_limp_and_by_name(task, station):
    jam(station, 1, "FFJ12")
    procedures = [MotorReset(task.hand, task.fixture, 0.0) for _ in range(3)]
    count = Count()
    for procedure, tick in zip(procedures, station.drive(procedures), strict=True):
        count.add(procedure, tick)
    assert [p.stage for p in procedures] == [Stage.DONE, Stage.FAILED, Stage.DONE]
    assert (count.resets, count.succeeded, count.unclean) == (3, 2, 0)
    assert dict(count.failed_joints) == {"FFJ12": 1}


def test_a_station_names_the_joint_that_did_not_arrive(task, station):
    jam(station, 2, "MFJ22")
    with pytest.raises(ResetFailed, match="robot 2") as caught:
        station.reset(start_request(task, 0, np.arange(3)))
    assert caught.value.failed_joints == ("MFJ22",)


def test_giving_up_without_a_name_or_with_force_is_unclean(task, station):
    reset = MotorReset(task.hand, task.fixture, 0.0)
    tick = reset.tick(station.backend.read(), task.period)
    reset.stage = Stage.FAILED
    count = Count()
    count.add(reset, tick)  # no joint is named, and the fixture's motor still holds
    assert (count.succeeded, count.unclean) == (0, 1)


def test_resets_are_counted_from_every_world_and_round(task, monkeypatch):
    monkeypatch.setattr(resets, "NUM_ENVS", 4)
    monkeypatch.setattr(resets, "ROUNDS", 3)
    policy = resets.wild(task, np.random.default_rng(1))
    monkeypatch.setattr(resets, "half_trained", lambda *_: policy)
    count = resets.count_resets(task, 0)
    assert count.resets == count.succeeded == 12
    assert 0 < count.plain()["mean_s"] <= count.longest
