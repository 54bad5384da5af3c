"""Episodes of the Adroit suite, on all cores."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from handlab.experiments.parallelism import processes
from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.environment.policies.policy import Policy
from handlab_core.system.workers import worker_pool
from handlab_core.tasks.adroit import SuiteTask
from handlab_core.tasks.variation import Variation
from handlab_sim.adroit.environment import AdroitWorld

CHUNK = 5
"""Episodes a process is asked for at a time: few enough that all end at about the same time."""


class SuiteSampler:
    """Implements `handlab_learning.runs.sampler.Sampler` with processes, one environment each.

    An episode depends on policy, seed and number alone, so that it does not matter which process
    runs it, nor how many there are. The processes end with the sampler.

    Args:
        task: of the suite.
        count: of the processes; with one, episodes run in this process. None: on all cores.
        variations: of the object, drawn for every episode.
    """

    def __init__(
        self,
        task: SuiteTask,
        count: int | None = None,
        variations: Sequence[Variation] = (),
    ) -> None:
        self._make = (task, tuple(variations))
        self._count = count or processes()
        self._world: AdroitWorld | None = None
        self._pool: ProcessPoolExecutor | None = None

    def sample(self, policy: Policy, plan: EpisodePlan) -> Iterator[Episode]:
        """See `Sampler.sample`."""
        if self._count == 1:
            self._world = self._world or AdroitWorld(*self._make)
            yield from self._world.sample(policy, plan)
            return
        if self._pool is None:
            # Not forked: this process has threads of torch.
            self._pool = worker_pool(self._count, "spawn", _begin, *self._make)
        jobs = [self._pool.submit(_in_process, policy, batch) for batch in plan.batches(CHUNK)]
        try:
            for job in jobs:
                yield from job.result()
        finally:
            for job in jobs:
                job.cancel()


_world: AdroitWorld
"""Environment of this process, where it is one of the pool."""


def _begin(task: SuiteTask, variations: tuple[Variation, ...]) -> None:
    global _world
    _world = AdroitWorld(task, variations)


def _in_process(policy: Policy, plan: EpisodePlan) -> list[Episode]:
    return list(_world.sample(policy, plan))
