"""A minute each of what `./handlab bench pace` does for an hour."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from handlab.benches import BENCHES, pace, run_bench
from handlab_core.errors import BadConfig

SECONDS = 60.0
HANDS = (("mujoco", ""), ("dynamixel", "emulated"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_in_real_pace_every_state_is_rewarded_on_a_busy_machine():
    """In simulation and on emulated servos, both at once."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        runs = [pool.submit(pace.run, SECONDS, 0, *where) for where in HANDS]
    for counts in (run.result() for run in runs):
        assert counts["episodes"] >= 3 and counts["states"] > 0.3 * SECONDS * 100
        assert counts["stops"] == []
        assert (counts["states_without_reward"], counts["episodes_broken_off"]) == (0, 0)


def test_a_bench_refuses_options_that_it_does_not_take():
    with pytest.raises(BadConfig, match=r"bench sim does not take --minutes"):
        run_bench("sim", BENCHES, 0, False, {"minutes": 1.0})
