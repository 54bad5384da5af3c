"""A minute of what `./handlab bench pace` does for an hour."""

import pytest

from handlab.benches import BENCHES, pace, run_bench
from handlab_core.errors import BadConfig

SECONDS = 60.0


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize(("hardware", "port"), [("mujoco", ""), ("dynamixel", "emulated")])
def test_in_real_pace_every_state_is_rewarded_on_a_busy_machine(hardware, port):
    counts = pace.run(SECONDS, 0, hardware, port)
    assert counts["episodes"] >= 3 and counts["states"] > 0.5 * SECONDS * 100
    assert counts["stops"] == []
    assert (counts["states_without_reward"], counts["episodes_broken_off"]) == (0, 0)


def test_a_bench_refuses_options_that_it_does_not_take():
    with pytest.raises(BadConfig, match=r"bench sim does not take --minutes"):
        run_bench("sim", BENCHES, 0, False, {"minutes": 1.0})
