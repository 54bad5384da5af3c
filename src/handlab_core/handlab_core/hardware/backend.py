"""Interface of a station's hardware, real or simulated.

A backend serves two groups of joints: `hand`, and `fixture`, the joint the object turns on. It
drives N robots at once (one on hardware). `handlab_core.hardware.backend_table` lists the backends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from handlab_core.hardware.backend_table import backend_spec, load
from handlab_core.hardware.motor_status import StationStatus
from handlab_core.types import Array, Command, IntArray, Reading

if TYPE_CHECKING:
    from handlab_core.worlds.world import World


class Backend(Protocol):
    """Hardware of N robots: reset, step, read, close."""

    num_envs: int
    """Number of robots, N."""

    def reset(self, robots: IntArray | None = None, object_angle: float | Array = 0.0) -> Reading:
        """Place hand and object at once: the state after power-on, with the object at an angle.

        Only a simulation can; hardware raises StationFault.

        Args:
            robots: indices of the robots to place; the others stay as they are. None: all.
            object_angle: rad, one for all or one for each of them, (len(robots),).
        """
        ...

    def step(
        self,
        hand: Command,
        fixture: Command | None,
        period: float,
        robots: IntArray | None = None,
    ) -> Reading:
        """Apply commands for one period and return the reading at its end.

        Args:
            hand: targets of the hand's joints, one row for each of `robots`.
            fixture: targets of the fixture's motor; None leaves it passive.
            period: s, how long the commands hold.
            robots: indices of the robots to advance; time stands still for the others. None: all.
        """
        ...

    def read(self) -> Reading:
        """Return the newest reading of all robots without advancing them."""
        ...

    def close(self) -> None:
        """Release all resources; a second call does nothing."""
        ...


@runtime_checkable
class Guidable(Backend, Protocol):
    """A simulated backend whose hand can be guided by virtual springs, as by a person."""

    def guide(self, q: Array, stiffness: Array, robots: IntArray | None = None) -> None:
        """Attach springs to the joints of the hand, until the next call.

        Args:
            q: rad; rest positions of the springs, one row for each of `robots`.
            stiffness: N m/rad; of each spring, same shape. 0 releases the joint.
            robots: indices of the robots. None: all.
        """
        ...


@runtime_checkable
class VariableWorlds(Backend, Protocol):
    """A simulated backend whose worlds can be replaced between episodes."""

    def become(self, worlds: "Sequence[World]") -> None:
        """Begin again with other worlds, one for each robot, at the first stamp.

        Raises:
            BadConfig: the worlds do not fit each other or the object.
        """
        ...


@runtime_checkable
class Restorable(Backend, Protocol):
    """A simulated backend that goes on exactly from a state of another one."""

    @property
    def state(self) -> Array:
        """Everything that the next step depends on besides its commands, (N, s)."""
        ...

    def restore(self, state: Array, stamp: float) -> None:
        """Continue from a state of the same model at a time [s].

        Raises:
            ValueError: the state has another size.
        """
        ...


@dataclass(frozen=True, slots=True)
class GoalsInForce:
    """Goals that the motors of one group follow before the next command."""

    goal: Command
    """(1, n) rad and N m; effort 0: the motor is passive, stands at `q`, and takes no command."""
    age: Array  # (1, n) s; time since each goal went out
    max_effort: Array  # (1, n) N m; the most that each motor is set to
    resolution: float = 0.0  # rad; two goals closer than this may look alike on the wire
    hold: Array | None = None
    """(1, n) rad; the group stays here while a motor of it is away. None: it obeys commands."""

    @classmethod
    def passive(cls, q: Array) -> "GoalsInForce":
        """Build the state of a group whose motors are all passive at `q`, (1, n) rad."""
        return cls(Command(q, np.zeros_like(q)), np.zeros_like(q), np.full_like(q, np.inf))


@runtime_checkable
class Hardware(Backend, Protocol):
    """Verbs of a backend of real motors, beyond the four of every backend.

    Building one opens and checks the motors, and moves nothing. No verb here or there may be called
    while another is running. `handlab_core.safety.clamped_backend` calls `prepare`, clamps, and
    then calls `step`,
    which sends its commands as they are.
    """

    delivered: bool
    """Whether the commands of the newest `step` went out."""

    def prepare(self, hand: Array, fixture: Array) -> tuple[GoalsInForce, GoalsInForce]:
        """Engage and release motors before a step; each engages where it stands.

        Args:
            hand: (1, n) N m; wanted effort of each joint, 0 releases it.
            fixture: (1, 1) N m; the same for the fixture.

        Returns:
            Goals in force of hand and fixture. A motor that is passive now stays so in the step.
        """
        ...

    def activate(self) -> None:
        """Engage the hand at its present pose."""
        ...

    def deactivate(self) -> None:
        """Release all motors; readings continue."""
        ...

    @property
    def motor_status(self) -> StationStatus:
        """State of the motors."""
        ...

    def reboot(self, joint: str) -> None:
        """Restart one joint's motor, which clears its hardware error; it comes back passive.

        Raises:
            UnknownName: no such joint.
            StationFault: it does not come back, or the hardware cannot.
        """
        ...

    def calibrate(self, overwrite: bool = False, force: bool = False) -> str:
        """Store the present pose, with torque off, as the zero pose.

        Args:
            overwrite: an older calibration.
            force: even if a joint is far from its nominal zero.

        Returns:
            The file that was written; it is used from the next start on.

        Raises:
            StationFault: a motor is silent or engaged, or the hardware cannot.
            BadConfig: there is a calibration, or a joint is far from its nominal zero.
        """
        ...


def make_backend(name: str, **options: Any) -> Backend:
    """Build the backend called `name`.

    Args:
        name: a key of BACKENDS.
        options: arguments of its factory; see `handlab_core.hardware.backend_table.BackendSpec`.

    Raises:
        UnknownName: no backend has this name.
    """
    backend: Backend = load(backend_spec(name).factory)(**options)
    return backend
