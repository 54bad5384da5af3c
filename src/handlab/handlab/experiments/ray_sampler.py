"""Episodes from the processes of a Ray cluster (docs.ray.io), which is optional.

An episode depends on policy, seed and number alone. So it does not matter which process of which
machine runs it, and Ray may run those of a dead worker again: results are those of one process with
as many worlds.
"""

import os
import pickle
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.environment.policies.policy import Policy
from handlab_core.errors import BadConfig
from handlab_core.safety.emergency_stop import simulated_hands
from handlab_core.system.provenance import commit
from handlab_core.tasks import Task
from handlab_core.tasks.variation import Variation
from handlab_learning.runs.sampler import Sampler

if TYPE_CHECKING:
    from handlab.experiments.task_kinds import Simulation

RETRIES = 10
"""Number of workers that may die with one part of an iteration; chosen: more is no accident."""

ADDRESS = "RAY_ADDRESS"
"""Environment variable of Ray: address of a cluster."""


class RaySampler:
    """Implements `Sampler` on a Ray cluster; each CPU of it is one worker.

    Args:
        task: a task of a station of ours.
        simulation: settings of the simulation in each worker, with fresh worlds.
        variations: of the worlds.

    Raises:
        BadConfig: Ray is not installed, there is no cluster, or its code is of another commit.
    """

    def __init__(
        self, task: Task, simulation: "Simulation", variations: Sequence[Variation] = ()
    ) -> None:
        self._ray = connect()
        self._size = simulation.num_envs
        self._spec = self._ray.put((task, simulation, tuple(variations)))
        self._run = self._ray.remote(num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD")(
            _run
        )

    def sample(self, policy: Policy, plan: EpisodePlan) -> Iterator[Episode]:
        """See `Sampler.sample`; the first episodes begin at once."""
        simulated_hands.wait()
        acting = self._ray.put(policy)
        # As in one process: the last digit of an action depends on how many worlds act together.
        parts = plan.batches(self._size)
        jobs = [self._run.remote(self._spec, acting, part) for part in parts]
        return self._collect(jobs)

    def _collect(self, jobs: list[Any]) -> Iterator[Episode]:
        own = _version()
        try:
            for job in jobs:
                theirs, episodes = self._ray.get(job)
                if theirs != own:
                    raise BadConfig(
                        f"a worker of the cluster has commit {theirs}, this process {own}: install "
                        "the same commit everywhere"
                    )
                yield from episodes
        finally:
            for job in jobs:
                self._ray.cancel(job)


def connect() -> Any:
    """Connect this process to the cluster of RAY_ADDRESS, or of this machine; return Ray.

    Raises:
        BadConfig: Ray is not installed, or there is no cluster; none is started here.
    """
    try:
        import ray
    except ImportError:
        raise BadConfig(
            "--workers ray needs the package ray, which is optional; install it with: "
            ".venv/bin/pip install -r requirements-ray.lock"
        ) from None
    if not ray.is_initialized():
        address = os.environ.get(ADDRESS, "auto")
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, TimeoutError, RuntimeError) as error:
            line = str(error).splitlines()[0]
            raise BadConfig(
                f"there is no Ray cluster at {address}: start one (ray start --head), or set "
                f"{ADDRESS}; {line}"
            ) from None
    return ray


def _run(
    spec: "tuple[Task, Simulation, tuple[Variation, ...]]", policy: Policy, plan: EpisodePlan
) -> tuple[str, list[Episode]]:
    """Run a part of an iteration in a worker; return its commit and the episodes."""
    return _version(), list(_sampler(*spec).sample(policy, plan))


def _version() -> str:
    """Return the commit of this process; changes that are not committed do not count."""
    return commit().removesuffix("-dirty")


_kept: "dict[bytes, Sampler]" = {}
"""Newest sampler of this worker, by its pickled settings."""


def _sampler(task: Task, simulation: "Simulation", variations: tuple[Variation, ...]) -> Sampler:
    """Return the sampler of this worker; models are compiled once."""
    from handlab.experiments.task_kinds import kind_of

    key = pickle.dumps((task, simulation, variations))
    if key not in _kept:
        _kept.clear()
        _kept[key] = kind_of(task).sampler(task, simulation, variations)
    return _kept[key]
