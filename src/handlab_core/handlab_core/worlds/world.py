"""All parameters of one world that differ from its description: servos, bodies, wire, sensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from handlab_core.hands.servo import ServoParameters
from handlab_core.tasks.variation import ObjectVariation, object_of

SIGNAL_STREAM, JOINT_STREAM = 64, 65
"""Numbers of an episode's random streams: noise, jitter and lost packets; differences of joints."""

SPREAD = ("gain", "loop_damping", "viscous", "coulomb", "armature")
"""Parameters that `servo.spread` makes different from joint to joint."""


@dataclass(frozen=True)
class Signals:
    """Errors on the way of commands and measurements."""

    latency: float = 0.0  # s; age of the measurements
    jitter: float = 0.0  # s; largest further delay of a command
    loss: float = 0.0  # fraction of commands, and of measurements, that are lost
    noise: float = 0.0  # noise of joint angles, end to end, fraction of the commanded range
    object_noise: float = 0.0  # rad; noise of the object's angle, end to end
    stream: tuple[int, ...] = (0,)  # seed of noise, jitter and losses

    @property
    def clean(self) -> bool:
        """Whether there are no errors."""
        return not (self.latency or self.jitter or self.loss or self.noise or self.object_noise)


@dataclass(frozen=True)
class World:
    """Parameters of one world; factors multiply the values of its description."""

    servos: ServoParameters
    object: ObjectVariation = field(default_factory=ObjectVariation)
    contact: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors of sliding, torsional and rolling friction of all surfaces."""
    hand_mass: float = 1.0  # factor of mass and inertia
    mount: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m; displacement of the hand
    signals: Signals = field(default_factory=Signals)

    @property
    def ideal_wire(self) -> bool:
        """Whether commands and measurements arrive at once and unchanged."""
        servos = self.servos
        late = servos.delay.any() or servos.backlash.any()
        return self.signals.clean and not (late or servos.resolution.any() or servos.zero.any())


def world_of(
    values: Mapping[str, float], servos: ServoParameters, seed: int, episode: int
) -> World:
    """Return the world with these values of quantities.

    Args:
        values: by name, as in `handlab_core.tasks.variation.QUANTITIES`; others keep their values.
        servos: servos that are varied.
        seed: seed of the run.
        episode: number of the episode; with the seed it draws the differences between joints.
    """

    def value(name: str, default: float = 0.0) -> float:
        return float(values.get(name, default))

    return World(
        _servos(values, servos, seed, episode),
        object_of(values),
        (
            value("contact.friction", 1.0),
            value("contact.torsion", 1.0),
            value("contact.rolling", 1.0),
        ),
        value("hand.mass", 1.0),
        (value("mount.x"), value("mount.y"), value("mount.z")),
        Signals(
            value("wire.latency"),
            value("wire.jitter"),
            value("wire.loss"),
            value("sensor.noise"),
            value("sensor.object"),
            (seed, episode, SIGNAL_STREAM),
        ),
    )


def _servos(
    values: Mapping[str, float], servos: ServoParameters, seed: int, episode: int
) -> ServoParameters:
    given = {
        name.removeprefix("servo."): value
        for name, value in values.items()
        if name.startswith("servo.")
    }
    if not given:
        return servos
    n, ticks = servos.n, given.get("ticks")
    differences, zero = np.ones((len(SPREAD), n)), servos.zero
    if given.get("spread") or given.get("zero"):
        drawn = np.random.default_rng((seed, episode, JOINT_STREAM)).uniform(-1, 1, (6, n))
        differences = 1.0 + given.get("spread", 0.0) * drawn[: len(SPREAD)]
        zero = zero + given.get("zero", 0.0) * drawn[-1]
    gain, loop, viscous, coulomb, armature = differences
    damping = given.get("damping", 1.0)
    return ServoParameters(
        gain=servos.gain * given.get("gain", 1.0) * gain,
        loop_damping=servos.loop_damping * damping * loop,
        back_emf=servos.back_emf * damping,
        max_torque=servos.max_torque * given.get("torque", 1.0),
        armature=servos.armature * given.get("armature", 1.0) * armature,
        coulomb=(servos.coulomb + given.get("friction", 0.0)) * coulomb,
        viscous=servos.viscous * damping * viscous,
        backlash=servos.backlash + given.get("backlash", 0.0),
        delay=servos.delay + given.get("delay", 0.0),
        resolution=servos.resolution
        if ticks is None
        else np.full(n, 2 * np.pi / ticks if ticks else 0.0),
        supply=servos.supply * given.get("supply", 1.0),
        zero=zero,
    )
