"""Claws behind a wire, simulated in this process, and hands of one wrong parameter."""

from dataclasses import dataclass, replace

import numpy as np

from handlab.emulation.realities import TIMESTEP
from handlab_core.environment.env import Env
from handlab_core.environment.station import LocalStation
from handlab_core.hands import Hand
from handlab_core.hands.servo import TICK
from handlab_core.tasks import Task
from handlab_core.worlds.world import Signals, World
from handlab_learning.runs.sampler import LocalSampler
from handlab_sim.backend import MujocoBackend
from handlab_sim.scene import SceneConfig

CYCLE = 0.01
"""s; a driver's cycle at 100 Hz: commands wait for it, measurements age by half of it."""

PROBE_NOISE = Signals(noise=0.005, object_noise=0.01)
"""Noise in the probes; without any, all episodes would be the same."""


@dataclass(frozen=True)
class Probe:
    """A hand with one wrong parameter, far from its description."""

    what: str
    """Description in the table."""
    gain: float = 1.0
    damping: float = 1.0


PROBES = {
    "half_gain": Probe("half the servo gain", gain=0.5),
    "third_damping": Probe("a third of the joint damping", damping=1 / 3),
}


def claw_sampler(task: Task, world: World, count: int, stream: int) -> LocalSampler:
    """Build a sampler of episodes on one claw; the object is reset by its motor.

    Args:
        task: task of a claw.
        world: the claw's parameters.
        count: number of equal claws side by side, each with noise of its own.
        stream: of the noise.
    """

    def make_env(robots: int) -> Env:
        worlds = [as_simulated(world, (stream, robot)) for robot in range(robots)]
        config = SceneConfig(timestep=TIMESTEP)
        backend = MujocoBackend(task.hand, task.fixture, robots, 1, config, worlds)
        return Env(task, LocalStation(task, backend))

    return LocalSampler(make_env, count)


def as_simulated(world: World, stream: tuple[int, ...]) -> World:
    """Return a world with the encoders and the cycle of a driver that it has behind a wire."""
    resolution = np.full(world.servos.n, TICK)
    signals = replace(
        world.signals,
        latency=world.signals.latency + CYCLE / 2,
        jitter=world.signals.jitter + CYCLE,
        stream=stream,
    )
    return replace(world, servos=replace(world.servos, resolution=resolution), signals=signals)


def probe_world(hand: Hand, probe: Probe) -> World:
    """Return the world of a probe."""
    own = hand.servos
    servos = replace(own, gain=own.gain * probe.gain, viscous=own.viscous * probe.damping)
    return World(servos, signals=PROBE_NOISE)
