"""Kinds of tasks: how a task of each kind is simulated, filmed and demonstrated.

A new kind of task is one object here; `LearnableTask.kind` names it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from handlab.experiments.ray_sampler import RaySampler
from handlab.experiments.samplers import VariedSampler, fixed_sampler
from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.policy import Policy
from handlab_core.estimation.estimator_table import ENCODER
from handlab_core.hands.servo import ServoParameters
from handlab_core.hardware.backend_table import DEFAULT
from handlab_core.tasks import Task
from handlab_core.tasks.adroit import SuiteTask
from handlab_core.tasks.learnable import LearnableTask
from handlab_core.tasks.variation import Variation, of_world, vary_task
from handlab_core.worlds.world import world_of
from handlab_learning.runs.options import LOCAL, RAY
from handlab_learning.runs.sampler import Sampler

if TYPE_CHECKING:
    from handlab.reporting.filming import Film


@dataclass(frozen=True)
class Simulation:
    """Settings of the simulation of episodes in this process."""

    num_envs: int  # maximum number of robots that act side by side
    threads: int  # threads that simulate them; tasks of the Adroit suite use all cores instead
    estimator: str = ENCODER
    hardware: str = DEFAULT  # name of a simulated backend
    servos: ServoParameters | None = None  # None: those of the hand's description
    fresh: bool = False
    """Whether every episode begins in a world in which nothing happened before, by placing hand and
    object: then it depends on policy, seed and number alone."""
    workers: str = LOCAL
    """Processes that run the episodes: this one, or those of a cluster."""


class TaskKind(Protocol):
    """Runs all tasks of one kind."""

    def sampler(
        self, task: Any, simulation: Simulation, variations: Sequence[Variation] = ()
    ) -> Sampler:
        """Build a sampler of simulated episodes.

        Args:
            task: of this kind.
            simulation: settings of the simulation.
            variations: drawn for every episode.
        """
        ...

    def sampler_at(self, task: Any, simulation: Simulation, point: Variation) -> Sampler:
        """Build a sampler in which one quantity has one other value in all episodes.

        Args:
            task: of this kind.
            simulation: settings of the simulation.
            point: the quantity and its value.
        """
        ...

    def film(self, task: Any, policy: Policy, seed: int) -> "Film":
        """Film episodes of a policy."""
        ...

    def resolve(self, demonstrations: str) -> str:
        """Return the name of demonstrations so that it holds in every working directory."""
        ...

    def read(self, demonstrations: str, task: Any) -> list[Episode]:
        """Read demonstrations of a task.

        Raises:
            BadDemonstrations: they are missing, or of another task.
        """
        ...


class StationTasks:
    """Tasks of a station of ours, which a backend simulates; demonstrations are bags."""

    def sampler(
        self, task: Task, simulation: Simulation, variations: Sequence[Variation] = ()
    ) -> Sampler:
        """See `TaskKind.sampler`."""
        s, task = simulation, vary_task(task, variations)
        varied = of_world(variations)
        if s.workers == RAY:
            return RaySampler(task, replace(s, workers=LOCAL, fresh=True, threads=1), varied)
        if varied or s.servos is not None or s.fresh:
            return VariedSampler(
                task, s.num_envs, s.threads, s.estimator, varied, s.hardware, s.servos
            )
        return fixed_sampler(task, s.num_envs, s.threads, s.estimator, hardware=s.hardware)

    def sampler_at(self, task: Task, simulation: Simulation, point: Variation) -> Sampler:
        """See `TaskKind.sampler_at`."""
        s, [value] = simulation, point.values
        servos, world = s.servos or task.hand.servos, None
        if of_world([point]) or s.servos is not None:
            world = world_of({point.name: value} if of_world([point]) else {}, servos, 0, 0)
        task = vary_task(task, [point])
        return fixed_sampler(task, s.num_envs, s.threads, s.estimator, world, s.hardware)

    def film(self, task: Task, policy: Policy, seed: int) -> "Film":
        """See `TaskKind.film`."""
        from handlab.reporting.filming import film_station

        return film_station(task, policy, seed)

    def resolve(self, demonstrations: str) -> str:
        """Return the absolute path of a bag."""
        return str(Path(demonstrations).resolve())

    def read(self, demonstrations: str, task: Task) -> list[Episode]:
        """Read a bag; see `TaskKind.read`."""
        from handlab_data.demonstration_reader import read_demonstrations

        return read_demonstrations(Path(demonstrations), task)


class AdroitTasks:
    """Tasks of the Adroit suite, run by processes on all cores; demonstrations are datasets."""

    def sampler(
        self, task: SuiteTask, simulation: Simulation, variations: Sequence[Variation] = ()
    ) -> Sampler:
        """See `TaskKind.sampler`."""
        from handlab.experiments.adroit_samplers import SuiteSampler

        return SuiteSampler(task, variations=variations)

    def sampler_at(self, task: SuiteTask, simulation: Simulation, point: Variation) -> Sampler:
        """See `TaskKind.sampler_at`."""
        return self.sampler(task, simulation, [point])

    def film(self, task: SuiteTask, policy: Policy, seed: int) -> "Film":
        """See `TaskKind.film`."""
        from handlab.reporting.filming import film_adroit

        return film_adroit(task, policy, seed)

    def resolve(self, demonstrations: str) -> str:
        """Return the name of a Minari dataset as it is."""
        return demonstrations

    def read(self, demonstrations: str, task: SuiteTask) -> list[Episode]:
        """Read a Minari dataset; see `TaskKind.read`."""
        from handlab_sim.adroit.minari_dataset import read_dataset

        return read_dataset(demonstrations, task)


KINDS: Mapping[str, TaskKind] = {Task.kind: StationTasks(), SuiteTask.kind: AdroitTasks()}
"""Kinds of tasks by name."""


def kind_of(task: LearnableTask) -> TaskKind:
    """Return the kind of a task."""
    return KINDS[task.kind]


def local_sampler(
    task: LearnableTask,
    num_envs: int,
    threads: int,
    estimator: str = ENCODER,
    variations: Sequence[Variation] = (),
    hardware: str = DEFAULT,
    servos: ServoParameters | None = None,
    fresh: bool = False,
) -> Sampler:
    """Build a sampler of simulated episodes of any task; see `Simulation` and `TaskKind`."""
    simulation = Simulation(num_envs, threads, estimator, hardware, servos, fresh)
    return kind_of(task).sampler(task, simulation, variations)
