"""Episodes from robots simulated in this process, with the task's own world or varied ones."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from handlab_core.environment.env import Env
from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.errors import BadConfig
from handlab_core.estimation.estimator_table import ENCODER
from handlab_core.hands.servo import ServoParameters
from handlab_core.hardware.backend import Backend, VariableWorlds, make_backend
from handlab_core.hardware.backend_table import DEFAULT, backend_spec
from handlab_core.tasks import Task
from handlab_core.tasks.variation import Variation, draw_all
from handlab_core.worlds.world import World, world_of
from handlab_learning.runs.sampler import LocalSampler


def fixed_sampler(
    task: Task,
    num_envs: int,
    threads: int,
    estimator: str = ENCODER,
    world: World | None = None,
    hardware: str = DEFAULT,
) -> LocalSampler:
    """Build a sampler of simulated episodes with the same world in all of them.

    Args:
        task: with its ranges of start and goal.
        num_envs: largest number of robots simulated side by side.
        threads: threads that simulate them.
        estimator: name of the estimator that follows the object.
        world: parameters of the world; None: those of the descriptions of hand and object.
        hardware: name of a simulated backend.
    """

    def make_env(count: int) -> Env:
        worlds = None if world is None else [world] * count
        simulated = _simulated(hardware, task, count, threads, worlds)
        return Env(task, LocalStation(task, simulated, estimator))

    return LocalSampler(make_env, num_envs)


def _simulated(
    hardware: str, task: Task, count: int, threads: int, worlds: Sequence[World] | None
) -> Backend:
    """Build a simulated backend of `count` robots; BadConfig if the hardware is no simulation."""
    if not backend_spec(hardware).simulated:
        raise BadConfig(f"hardware {hardware} is moved by the graph: add --backend graph")
    return make_backend(
        hardware, hand=task.hand_name, fixture=task.fixture_name, num_envs=count, threads=threads,
        worlds=worlds,
    )  # fmt: skip


class VariedSampler:
    """Implements `Sampler`: every episode has a world of its own.

    The world depends on the run's seed and the episode's number alone. Each episode is begun by
    placing the object, in a world that nothing happened in before, and takes the robot time that a
    person needs for that (`handlab_sim.backend.PLACING_TIME`); so neither the number of robots nor
    the episodes before change it.

    Args:
        task: the task of every episode.
        num_envs: largest number of robots simulated side by side.
        threads: to simulate them on.
        estimator: name of the estimator of the objects.
        variations: of the worlds.
        hardware: name of a simulated backend.
        servos: servos that are varied; None: those of the hand's description.
    """

    def __init__(
        self,
        task: Task,
        num_envs: int,
        threads: int,
        estimator: str,
        variations: Sequence[Variation],
        hardware: str = DEFAULT,
        servos: ServoParameters | None = None,
    ) -> None:
        self._task, self._num_envs, self._threads = task, num_envs, threads
        self._hardware, self._servos = hardware, servos or task.hand.servos
        self._estimator, self._variations = estimator, variations
        self._backends: dict[tuple[int, int | None], VariableWorlds] = {}

    def world_in(self, seed: int, episode: int) -> World:
        """Return the world of an episode."""
        values = draw_all(self._variations, seed, episode)
        return world_of(values, self._servos, seed, episode)

    def sample(self, policy: Policy, plan: EpisodePlan) -> Iterator[Episode]:
        """See `Sampler.sample`."""
        for batch in plan.batches(self._num_envs):
            done: dict[int, Episode] = {}
            for worlds in self._groups(batch):
                env = self._env(list(worlds.values()))
                group = replace(batch, numbers=list(worlds))
                done |= {episode.number: episode for episode in rollout(env, policy, group)}
            for number in batch.numbers:
                drawn = draw_all(self._variations, batch.seed, number)
                yield replace(done[number], drawn=drawn)

    def _groups(self, plan: EpisodePlan) -> list[dict[int, World]]:
        """Return the worlds by episode number, grouped by what one simulation can hold."""
        groups: dict[int | None, dict[int, World]] = {}
        for number in plan.numbers:
            chosen = self.world_in(plan.seed, number)
            groups.setdefault(chosen.object.lobes, {})[number] = chosen
        return list(groups.values())

    def _env(self, worlds: Sequence[World]) -> Env:
        task, key = self._task, (len(worlds), worlds[0].object.lobes)
        if key in self._backends:
            self._backends[key].become(worlds)
        else:
            made = _simulated(self._hardware, task, len(worlds), self._threads, worlds)
            if not isinstance(made, VariableWorlds):
                raise BadConfig(f"hardware {self._hardware} has no worlds that vary")
            self._backends[key] = made
        station = LocalStation(task, self._backends[key], self._estimator)
        return Env(task, station, teleport=True)
