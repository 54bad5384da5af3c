"""Turn an object in the Adroit hand from a fixed grasp (Kumar, Todorov and Levine, ICRA 2016).

| part        | value                                                                            |
|-------------|----------------------------------------------------------------------------------|
| observation | joints (24), object (6), their velocities (30), pressures of the cylinders (40)  |
| action      | target position of each joint (24), or command of each valve (40), 50 Hz         |
| reward      | minus the square of the angle to the goal and of the object's way from its place |
| start, goal | one grasp, in which hand and object rest; an angle about one axis                |
| success     | 90 to 139 degrees and not dropped in every step of the last fifth                |
| end         | never before the time is over, 2 s                                               |

The hand is that of the suite, and so is the pen; the rod is ours. With position targets there are
no pressures. They run in `handlab_sim.adroit.turning`.
"""

from dataclasses import dataclass, replace

import numpy as np

from handlab_core.tasks.adroit.suite import SUITE, Held, SuiteTask
from handlab_core.tasks.sizes import StateForm
from handlab_core.types import Array, BoolArray

JOINTS, CYLINDERS = 24, 40

POSITION, SPEED = 0.1, 10.0
"""Units of the observation: positions of the object in m, speeds of joints and object in rad/s."""

LEAST = np.deg2rad(90.0)
"""rad; least turn with which an episode succeeds; the largest is as far behind the goal."""

STEPS, PERIOD = 100, 0.02
"""Steps of an episode, and duration of a step in s; chosen."""

HEIGHT, AZIMUTH, TILT, ROLL = JOINTS + 2, JOINTS + 3, JOINTS + 4, JOINTS + 5
"""Elements of an observation; the turned angle minus the goal takes the place of its angle."""

DROP = 0.05
"""m; an object that is lower than its place by this has been dropped."""


@dataclass(frozen=True)
class Turning:
    """An object, the axis that it is turned about, and the actuators of the hand."""

    radius: float  # m
    half_length: float  # m
    density: float  # kg/m^3
    element: int  # element of the observation with the angle
    goal: float  # rad
    pneumatic: bool = False
    cap: bool = False  # whether it is the pen, which has a cap and a clip

    @property
    def sizes(self) -> tuple[int, int]:
        """Sizes of observation and action."""
        moving = 2 * (JOINTS + 6)
        return (moving + CYLINDERS, CYLINDERS) if self.pneumatic else (moving, JOINTS)

    def error(self, observation: Array) -> Array:
        """Return the angle of the object minus the goal [rad], (...), in observations (..., O)."""
        error: Array = observation[..., self.element]
        return error

    def turned(self, observation: Array) -> BoolArray:
        """Return whether the object is turned and not dropped in observations (..., O), (...)."""
        near = np.abs(self.error(observation)) <= abs(self.goal) - LEAST
        turned: BoolArray = near & ~self.dropped(observation)
        return turned

    def dropped(self, observation: Array) -> BoolArray:
        """Return whether the object is too low in observations (..., O), (...)."""
        dropped: BoolArray = observation[..., HEIGHT] * POSITION < -DROP
        return dropped

    def reward(self, observation: Array, change: Array) -> Array:
        """See `handlab_core.tasks.sizes.ObservedReward`."""
        place = np.square(observation[..., JOINTS : JOINTS + 3]).sum(axis=-1)
        speed = np.square(observation[..., JOINTS + 6 : 2 * JOINTS + 6]).sum(axis=-1)
        reward: Array = -np.square(self.error(observation)) - PLACE * place - CALM * speed
        return reward


PLACE, CALM = 2.0, 0.01
"""Weights of the object's way from its place [dm], and of the speeds of the joints."""


PEN = Turning(
    radius=0.015, half_length=0.065, density=1500.0, element=ROLL, goal=2.0, cap=True
)  # fmt: skip
"""The pen of the suite, about its long axis; a goal behind `LEAST` leaves room for errors."""

ROD = replace(PEN, radius=0.012, half_length=0.08, cap=False)
"""A rod that is thinner and longer; chosen."""

TURNINGS = {
    "AdroitTurnPen": PEN,
    "AdroitTurnRod": ROD,
    "AdroitTurnPenPneumatic": replace(PEN, pneumatic=True),
    "AdroitTurnRodPneumatic": replace(ROD, pneumatic=True),
}
"""Objects and actuators by the names of their environments."""

LOCAL_MODELS = {"search_iterations": 0, "std": 0.2, "least_std": 0.1}
"""Settings; chosen on seeds that no figure uses. The first controller rests in the grasp."""


def _task(name: str, description: str, environment: str) -> SuiteTask:
    turning = TURNINGS[environment]
    observation, action = turning.sizes
    return SuiteTask(
        name,
        description,
        environment,
        observation_size=observation,
        action_size=action,
        success=Held(STEPS // 5 - 1),
        steps=STEPS,
        period=PERIOD,
        reward="turned",
        rewards=("turned",),
        form=StateForm(tuple(range(observation)), ()),
        observed_reward=turning.reward,
        settings={"local_models": LOCAL_MODELS},
    )


@SUITE.register
def adroit_turn_pen() -> SuiteTask:
    """Build the turn of the pen by position targets."""
    return _task("adroit_turn_pen", "turn the pen about its axis in the hand", "AdroitTurnPen")


@SUITE.register
def adroit_turn_rod() -> SuiteTask:
    """Build the turn of the rod by position targets."""
    return _task("adroit_turn_rod", "turn a rod about its axis in the hand", "AdroitTurnRod")


@SUITE.register
def adroit_turn_pen_pneumatic() -> SuiteTask:
    """Build the turn of the pen by pneumatic cylinders."""
    return _task(
        "adroit_turn_pen_pneumatic",
        "turn the pen with 40 pneumatic cylinders",
        "AdroitTurnPenPneumatic",
    )


@SUITE.register
def adroit_turn_rod_pneumatic() -> SuiteTask:
    """Build the turn of the rod by pneumatic cylinders."""
    return _task(
        "adroit_turn_rod_pneumatic",
        "turn a rod with 40 pneumatic cylinders",
        "AdroitTurnRodPneumatic",
    )
