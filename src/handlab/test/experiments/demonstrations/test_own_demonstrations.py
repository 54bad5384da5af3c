"""The robot finds demonstrations of its own on the simulated valve."""

from handlab.experiments.task_kinds import local_sampler
from handlab_core.environment.episode import EpisodePlan
from handlab_core.tasks import make_task
from handlab_learning.exploration.gait_search import GaitSearch


def test_a_gait_that_turns_the_valve_is_found_within_two_robot_minutes():
    task, seed = make_task("valve"), 11
    sampler, search, minutes = local_sampler(task, 1, 1), GaitSearch(task.spaces, seed, 4, 60), 0.0
    number = 0
    while not search.ended:
        [episode] = sampler.sample(search.policy(number), EpisodePlan(seed, [number]))
        search.tell(episode)
        minutes += (episode.time.experience_s + episode.time.reset_s) / 60
        number += 1
    assert len(search.found) == 4 and minutes < 2.0
