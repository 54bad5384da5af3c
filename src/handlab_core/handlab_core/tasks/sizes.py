"""Sizes of a task, as learning algorithms need them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from handlab_core.types import Array

ObservedReward = Callable[[Array, Array], Array]
"""Reward of a step as a function of the observation after it, (..., O), and of the change of the
observation during it, (..., O); (...)."""


@dataclass(frozen=True, slots=True)
class Symmetry:
    """An exchange of alike fingers after which the task is the same.

    Element i of the exchanged observation is element `observation[i]` of the original.
    """

    observation: tuple[int, ...]  # (O,)
    action: tuple[int, ...]  # (A,)


@dataclass(frozen=True, slots=True)
class Fingers:
    """Fingers before an object: what a gait has to know of a task."""

    error: int  # element of an observation: angle of the object minus the goal [rad]
    joint: tuple[int, ...]  # (A,), joints that move alike share a number, from 0
    finger: tuple[int, ...]  # (A,), place of the joint's finger among the alike ones, from 0
    period: float  # s, duration of a step


@dataclass(frozen=True, slots=True)
class Relabelling:
    """How to observe a goal that was reached later: a pose of the hand, or an angle of the object.

    A goal that moves is moved as a whole, so that it is where the object was at the later moment.
    """

    measured: tuple[int, ...]  # elements of an observation whose change changes the errors
    errors: tuple[int, ...]  # elements of an observation: measured value minus goal [rad]
    scale: tuple[float, ...]  # rad for each unit of a measured value
    bent: tuple[int, ...] = ()  # elements of an observation: tanh(error / bend)
    bend: float = 1.0  # rad

    def observed(self, now: Array, later: Array) -> Array:
        """Return observations whose goal was reached later, (..., O).

        Args:
            now: (..., O), observations.
            later: (..., O), observations at the moments whose poses or angles are the goals.
        """
        errors = (now - later)[..., list(self.measured)] * np.array(self.scale)
        relabelled: Array = now.copy()
        relabelled[..., list(self.errors)] = errors
        relabelled[..., list(self.bent)] = np.tanh(errors[..., : len(self.bent)] / self.bend)
        return relabelled


@dataclass(frozen=True, slots=True)
class StateForm:
    """State of a linear controller or of a learned model, made of two observations in a row.

    An observation lacks velocities; the change of an element during a step takes their place.
    """

    elements: tuple[int, ...]  # elements of the observation
    moving: tuple[int, ...]  # elements whose change is part of the state, too

    @property
    def size(self) -> int:
        """Number of elements of the state, X."""
        return len(self.elements) + len(self.moving)

    def state(self, observation: Array, change: Array) -> Array:
        """Return states (..., X).

        Args:
            observation: (..., O).
            change: (..., O), observation minus the one a step before; 0 at the start.
        """
        parts = observation[..., list(self.elements)], change[..., list(self.moving)]
        return np.concatenate(parts, axis=-1)

    def states(self, observations: Array) -> Array:
        """Return the states of an episode, (T + 1, X), for observations (T + 1, O)."""
        change = np.diff(observations, axis=0, prepend=observations[:1])
        return self.state(observations, change)

    def split(self, state: Array, size: int) -> tuple[Array, Array]:
        """Return observation and change, (..., O) each, to be read only.

        Elements of no state are zero.

        Args:
            state: (..., X).
            size: number of elements of an observation, O.
        """
        known = len(self.elements)
        shape = (*state.shape[:-1], size)
        return (
            _placed(state[..., :known], self.elements, shape),
            _placed(state[..., known:], self.moving, shape),
        )


def _placed(values: Array, elements: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Return values (..., E) as elements of a larger array; without a copy where they are all."""
    if not elements:
        return np.broadcast_to(np.float64(0.0), shape)
    if elements == tuple(range(shape[-1])):
        return values
    placed = np.zeros(shape)
    placed[..., list(elements)] = values
    return placed


@dataclass(frozen=True, slots=True)
class Spaces:
    """Sizes of observation and action, and length of an episode."""

    observation: int  # number of elements of an observation, O
    action: int  # number of elements of an action, A
    steps: int  # largest number of steps of an episode
    symmetries: tuple[Symmetry, ...] = ()  # without the identity
    fingers: Fingers | None = None  # None: there is no object that has an error
    form: StateForm | None = None  # None: the whole observation, and its change
    reward: ObservedReward | None = field(default=None, compare=False)  # None: not known
    relabelling: Relabelling | None = None  # None: the goal cannot be another one afterwards

    @property
    def state_form(self) -> StateForm:
        """Form of the state of linear controllers and of learned models."""
        every = tuple(range(self.observation))
        return self.form or StateForm(every, every)
