"""Chambers of a soft hand: air pressure that bends chains of joints.

A finger of rubber is a chain of many short links on springs. The valve of a chamber regulates its
pressure, which follows the command like a first-order system, and the pressure bends all joints of
the chain alike:

    d pressure / dt = (command - pressure) / time_constant
    torque          = gain pressure - (stiffness + stiffening angle^2) angle - viscous d angle / dt

In a soft hand `Hand.joints` are its chambers. Their positions are gauge pressures in bar, where
other hands have angles in rad; their effort is the pressure of the supply, and 0 vents a chamber.
"""

from dataclasses import dataclass

from handlab_core.errors import BadConfig

BAR = 1e5  # Pa


@dataclass(frozen=True)
class Chamber:
    """One chamber, and the chain that it bends."""

    chain: tuple[str, ...]  # joints of the description, from the palm to the tip
    gain: float  # N m/bar; torque on each joint
    stiffness: float  # N m/rad; spring of each joint
    stiffening: float = 0.0  # N m/rad3; cubic part of the same spring

    def __post_init__(self) -> None:
        """Raise BadConfig for impossible values."""
        if not self.chain or self.gain <= 0.0 or self.stiffness <= 0.0 or self.stiffening < 0.0:
            raise BadConfig(
                f"a chamber needs a chain of joints, a positive gain and a positive stiffness, not "
                f"{self}"
            )

    def angle(self, pressure: float) -> float:
        """Return the angle of each joint [rad] of a chain that touches nothing, without gravity.

        Args:
            pressure: bar.
        """
        wanted, angle = self.gain * pressure, self.gain * pressure / self.stiffness
        for _ in range(60):  # Newton's method; the torque of the spring grows steadily
            left = (self.stiffness + self.stiffening * angle**2) * angle - wanted
            slope = self.stiffness + 3.0 * self.stiffening * angle**2
            angle -= left / slope
            if abs(left) < 1e-12:
                break
        return angle


@dataclass(frozen=True)
class Pneumatics:
    """Chambers of a soft hand, in the order of its `joints`."""

    chambers: tuple[Chamber, ...]
    time_constant: float  # s; of the pressure behind a valve

    def __post_init__(self) -> None:
        """Raise BadConfig for impossible values."""
        if self.time_constant <= 0.0:
            raise BadConfig(f"time_constant is {self.time_constant} s; it must be positive")
        if len(set(self.chains)) != len(self.chains):
            raise BadConfig("two chambers bend the same joint")

    @property
    def chains(self) -> tuple[str, ...]:
        """Joints of all chains, chamber by chamber."""
        return sum((chamber.chain for chamber in self.chambers), ())

    @property
    def owners(self) -> tuple[int, ...]:
        """Index of the chamber of each of `chains`."""
        return tuple(i for i, chamber in enumerate(self.chambers) for _ in chamber.chain)
