"""Motions of a hand with other servos and links, as a recording would have them."""

import copy
from dataclasses import replace

import mujoco
import numpy as np
from mujoco import rollout

from handlab_core.hands import Hand
from handlab_core.objects.fixture import BARE, FIXTURES
from handlab_core.types import Array, BoolArray, IntArray
from handlab_core.worlds.excitation import Recording
from handlab_core.worlds.world import World
from handlab_sim.scene import SceneConfig
from handlab_sim.varied import Shape, Variant

TIMESTEP = 0.002  # s; step of the simulations of the fit
MASS = -1
"""Column of the mass of a finger's links, times the described one; the others are QUANTITIES."""
NOISE = (5e-4, 0.003)
"""rad and N m; smallest errors of measured angles and torques: a third of a step of the encoder,
and one of the current's. Larger ones are taken from the differences that a fit leaves."""


class MotionModel:
    """Simulates recorded commands for several sets of parameters at once.

    Args:
        hand: whose description gives everything but the parameters.
        recording: commands and measurements.
        threads: number of threads.
        timestep: s; step of the simulation.
    """

    def __init__(
        self, hand: Hand, recording: Recording, threads: int = 1, timestep: float = TIMESTEP
    ) -> None:
        self._timestep = timestep
        config = SceneConfig(timestep=timestep)
        self._variant = Variant(hand, FIXTURES.make(BARE), config, Shape(rough=True))
        self._variant.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
        self.model = copy.copy(self._variant.model)  # with the described parameters
        joints = [self.model.joint(name) for name in hand.joints]
        self._q_at = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._actuators = np.array([self.model.actuator(name).id for name in hand.joints])
        self.hand, self.recording, self._threads = hand, recording, threads
        self._begin = recording.read_at[0]
        self._felt = feels(recording)
        self.noise = np.tile(NOISE, (hand.n, 1))
        """Errors of the measured angles and torques of each joint, (n, 2) rad and N m."""
        self._most = hand.servos.torque_limit
        self._steps = int(np.ceil((recording.read_at[-1] - self._begin) / self._timestep)) + 2
        self._data = [mujoco.MjData(self.model) for _ in range(max(1, threads))]
        self.chains = self._chains()
        self._links = [self._moved_by(self._dofs[chain[0]]) for chain in self.chains]

    def _chains(self) -> list[IntArray]:
        """Return the joints of each finger, from the palm to the tip."""
        chains: dict[int, list[int]] = {}
        for i, name in enumerate(self.hand.joints):
            dof, first = int(self.model.joint(name).dofadr[0]), -1
            while dof >= 0:
                first, dof = dof, int(self.model.dof_parentid[dof])
            chains.setdefault(first, []).append(i)
        return [np.array(chain) for chain in chains.values()]

    def _moved_by(self, dof: int) -> IntArray:
        """Return the bodies that a degree of freedom moves."""
        moved = {int(self.model.dof_bodyid[dof])}
        for body in range(min(moved) + 1, self.model.nbody):  # parents come first
            if int(self.model.body_parentid[body]) in moved:
                moved.add(body)
        return np.array(sorted(moved))

    def motions(self, parameters: Array) -> Array:
        """Return the measured quantities for sets of parameters, in units of their noise.

        Args:
            parameters: (m, n, p + 1), in the order of QUANTITIES, and MASS.

        Returns:
            (m, K, n, 2) angles and torques at the times of the measurements.
        """
        models = [self._with(values) for values in parameters]
        controls = np.zeros((len(models), self._steps, self.model.nu))
        states = np.zeros((len(models), self._state_size))
        zero, play = parameters[:, :, 5], parameters[:, :, 6]
        begin = self.recording.q[0] - zero
        targets = np.stack([self._targets(values[:, 4]) for values in parameters])
        targets = _after_play(targets - zero[:, None], play / 2, begin)
        controls[:, :, self._actuators] = targets
        for k, model in enumerate(models):
            states[k] = self._start(model, begin[k])
        motion, _ = rollout.rollout(models, self._data, states, controls, persistent_pool=True)
        q = motion[:, :, 1 + self._q_at]
        speed = motion[:, :, 1 + self.model.nq + self._dofs]
        gain, damping = parameters[:, None, :, 0], parameters[:, None, :, 1]
        braking = np.minimum(self.hand.servos.braking, damping)
        # As in the simulation, torques are those from which a step began.
        before, speed = _before(q), _before(speed)
        torque = gain * (controls[:, :, self._actuators] - before) - braking * speed
        torque = np.clip(torque, -self._most, self._most)
        return np.stack(
            (
                self._sampled(q + zero[:, None, :]) / self.noise[:, 0],
                self._sampled(torque) / self.noise[:, 1] * self._felt,
            ),
            axis=-1,
        )

    @property
    def measured(self) -> Array:
        """Return the measurements, in units of their noise, (K, n, 2)."""
        felt = np.where(self._felt, self.recording.effort, 0.0)
        measured: Array = np.stack((self.recording.q, felt), axis=-1) / self.noise
        return measured

    def inverse(self, q: Array, speed: Array, pace: Array) -> Array:
        """Return the torques that move the links alone, (K, n) N m, without rotors and friction."""
        model, data = copy.copy(self.model), self._data[0]
        model.dof_armature[:], model.dof_damping[:] = 0.0, 0.0
        mujoco.mj_resetData(model, data)
        torques = np.empty_like(q)
        for k in range(len(q)):
            data.qpos[self._q_at], data.qvel[self._dofs] = q[k], speed[k]
            data.qacc[self._dofs] = pace[k]
            mujoco.mj_inverse(model, data)
            torques[k] = data.qfrc_inverse[self._dofs]
        return torques

    @property
    def _state_size(self) -> int:
        return int(mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_FULLPHYSICS))

    def _with(self, values: Array) -> mujoco.MjModel:
        gain, damping, friction, armature = values[:, :4].T.copy()
        # The loop's and the motor's parts of the damping are known; the rest is friction.
        braking = np.minimum(self.hand.servos.braking, damping)
        servos = replace(
            self.hand.servos,
            gain=gain,
            loop_damping=np.zeros_like(braking),
            back_emf=braking,
            viscous=damping - braking,
            coulomb=friction,
            armature=armature,
            supply=np.ones_like(gain),
        )
        model = copy.copy(self._variant.set(World(servos)))
        for chain, links in zip(self.chains, self._links, strict=True):
            model.body_mass[links] *= values[chain[0], MASS]
            model.body_inertia[links] *= values[chain[0], MASS]
        return model

    def _start(self, model: mujoco.MjModel, q: Array) -> Array:
        data, state = self._data[0], np.zeros(self._state_size)
        mujoco.mj_resetData(model, data)
        data.qpos[self._q_at] = q
        mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        return state

    def _targets(self, delay: Array) -> Array:
        """Return the mean target of each joint in each step, (steps, n) rad.

        A mean over the step changes smoothly with the delay.
        """
        sent_at, sent = self.recording.sent_at, self.recording.sent
        edges = self._begin + self._timestep * np.arange(self._steps + 1)
        lengths = np.diff(sent_at)
        targets = np.empty((self._steps, sent.shape[1]))
        for j, late in enumerate(delay):
            # Integral of the target over time, linear between commands.
            integral = np.concatenate(([0.0], np.cumsum(sent[:-1, j] * lengths)))
            at = edges - late
            value = np.interp(at, sent_at, integral)
            value += np.minimum(at - sent_at[0], 0.0) * sent[0, j]
            value += np.maximum(at - sent_at[-1], 0.0) * sent[-1, j]
            targets[:, j] = np.diff(value) / self._timestep
        return targets

    def _sampled(self, q: Array) -> Array:
        """Interpolate motions at the times of the measurements."""
        place = (
            self.recording.read_at - self._begin
        ) / self._timestep - 1.0  # the first is after a step
        index = np.clip(np.floor(place).astype(np.int64), 0, q.shape[1] - 2)
        part = (place - index)[None, :, None]
        sampled: Array = q[:, index] * (1.0 - part) + q[:, index + 1] * part
        return sampled


def _after_play(targets: Array, half: Array, begin: Array) -> Array:
    """Return targets behind gears with play, (m, steps, n) rad.

    Args:
        targets: (m, steps, n) rad.
        half: (m, n) rad; half of the play.
        begin: (m, n) rad; angles at the beginning.
    """
    behind, at = np.empty_like(targets), begin
    low, high = targets - half[:, None], targets + half[:, None]
    for k in range(targets.shape[1]):
        at = np.minimum(np.maximum(at, low[:, k]), high[:, k])
        behind[:, k] = at
    return behind


def _before(values: Array) -> Array:
    """Return values one step earlier, (m, steps, n)."""
    return np.concatenate((values[:, :1], values[:, :-1]), axis=1)


def feels(recording: Recording) -> BoolArray:
    """Return which joints report their torque, (n,)."""
    known = np.isfinite(recording.effort).all(axis=0)
    return np.asarray(known & recording.effort.any(axis=0), dtype=np.bool_)
