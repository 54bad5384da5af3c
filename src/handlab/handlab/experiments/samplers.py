"""Episodes from robots simulated in this process, with the task's own object or varied ones."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from handlab_core.environment.env import Env
from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.environment.policy import Policy
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.errors import BadConfig
from handlab_core.estimation.follower import ENCODER
from handlab_core.hardware.backend import Backend, make_backend
from handlab_core.hardware.backend_table import DEFAULT, backend_spec
from handlab_core.tasks import Task
from handlab_core.tasks.variation import ObjectVariation, Variation, draw_all, object_of
from handlab_learning.runs.sampler import LocalSampler


def fixed_sampler(
    task: Task,
    num_envs: int,
    threads: int,
    estimator: str = ENCODER,
    variation: ObjectVariation | None = None,
    hardware: str = DEFAULT,
) -> LocalSampler:
    """Build a sampler of simulated episodes with the same object in all of them.

    Args:
        task: with its ranges of start and goal.
        num_envs: largest number of robots simulated side by side.
        threads: threads that simulate them.
        estimator: name of the estimator that follows the object.
        variation: changes of the object; None: the task's own object.
        hardware: name of a simulated backend.
    """

    def make_env(count: int) -> Env:
        objects = None if variation is None else [variation] * count
        simulated = _simulated(hardware, task, count, threads, objects)
        return Env(task, LocalStation(task, simulated, estimator))

    return LocalSampler(make_env, num_envs)


def _simulated(
    hardware: str,
    task: Task,
    count: int,
    threads: int,
    objects: Sequence[ObjectVariation] | None,
) -> Backend:
    """Build a simulated backend of `count` robots; BadConfig if the hardware is no simulation."""
    if not backend_spec(hardware).simulated:
        raise BadConfig(f"hardware {hardware} is moved by the graph: add --backend graph")
    return make_backend(
        hardware, hand=task.hand_name, fixture=task.fixture_name, num_envs=count, threads=threads,
        objects=objects,
    )  # fmt: skip


class VariedSampler:
    """Implements `Sampler`: every episode has an object of its own.

    The object depends on the run's seed and the episode's number alone. Each episode is begun by
    placing it, in a world that nothing happened in before, and takes the robot time that a person
    needs for that (`handlab_sim.backend.PLACING_TIME`); so neither the number of robots nor the
    episodes before change it.

    Args:
        task: the task of every episode.
        num_envs: largest number of robots simulated side by side.
        threads: to simulate them on.
        estimator: name of the estimator of the objects.
        variations: of the object.
        hardware: name of a simulated backend.
    """

    def __init__(
        self,
        task: Task,
        num_envs: int,
        threads: int,
        estimator: str,
        variations: Sequence[Variation],
        hardware: str = DEFAULT,
    ) -> None:
        self._task, self._num_envs, self._threads = task, num_envs, threads
        self._hardware = hardware
        self._estimator, self._variations = estimator, variations

    def object_in(self, seed: int, episode: int) -> ObjectVariation:
        """Return the object of an episode."""
        return object_of(draw_all(self._variations, seed, episode))

    def sample(self, policy: Policy, plan: EpisodePlan) -> Iterator[Episode]:
        """See `Sampler.sample`."""
        for batch in plan.batches(self._num_envs):
            done: dict[int, Episode] = {}
            for objects in self._groups(batch):
                env = self._env(list(objects.values()))
                group = replace(batch, numbers=list(objects))
                done |= {episode.number: episode for episode in rollout(env, policy, group)}
                env.close()
            yield from (done[number] for number in batch.numbers)

    def _groups(self, plan: EpisodePlan) -> list[dict[int, ObjectVariation]]:
        """Return the objects by episode number, grouped by what one simulation can hold."""
        groups: dict[int | None, dict[int, ObjectVariation]] = {}
        for number in plan.numbers:
            chosen = self.object_in(plan.seed, number)
            groups.setdefault(chosen.lobes, {})[number] = chosen
        return list(groups.values())

    def _env(self, objects: Sequence[ObjectVariation]) -> Env:
        task, count = self._task, len(objects)
        simulated = _simulated(self._hardware, task, count, self._threads, objects)
        return Env(task, LocalStation(task, simulated, self._estimator), teleport=True)
