"""A simulation that is restored goes on exactly as the one whose state it has."""

import numpy as np
import pytest

from handlab_core.hardware.backend import Restorable
from handlab_core.tasks import make_task
from handlab_core.types import Command
from handlab_sim.backend import MujocoBackend

PERIOD, STEPS = 0.1, 40


@pytest.mark.parametrize("name", ["valve", "flip", "pose", "valve_foam", "allegro_valve"])
def test_a_restored_simulation_takes_the_same_way_to_the_last_bit(name):
    task = make_task(name)
    first = MujocoBackend(task.hand, task.fixture)
    rng = np.random.default_rng(3)

    def command():
        target = task.hand.target(rng.uniform(-1, 1, (1, task.hand.n)))
        return Command(target, np.tile(task.hand.max_effort, (1, 1)))

    for _ in range(STEPS):  # until the hand touches the object
        first.step(command(), None, PERIOD)
    state, stamp = first.state.copy(), float(first.read().hand.stamp[0])
    commands = [command() for _ in range(STEPS)]
    wanted = [first.step(one, None, PERIOD) for one in commands]
    second = MujocoBackend(task.hand, task.fixture)
    second.step(command(), None, PERIOD)
    second.restore(state, stamp)
    assert isinstance(second, Restorable)
    for one, reading in zip(commands, wanted, strict=True):
        made = second.step(one, None, PERIOD)
        for group in ("hand", "fixture"):
            for part in ("stamp", "q", "qd", "effort"):
                np.testing.assert_array_equal(
                    getattr(getattr(made, group), part), getattr(getattr(reading, group), part)
                )


def test_a_state_of_another_model_is_refused():
    task = make_task("valve")
    with pytest.raises(ValueError, match="shape"):
        MujocoBackend(task.hand, task.fixture).restore(np.zeros((1, 3)), 0.0)
