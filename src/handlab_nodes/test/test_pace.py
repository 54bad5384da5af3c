"""The schedule of a driver in real pace."""

from hypothesis import given
from hypothesis import strategies as st

from handlab_nodes.pace import next_due

PERIOD = 0.01  # s


@given(late=st.floats(-PERIOD, 100.0))
def test_missed_periods_are_skipped_and_the_phase_is_kept(late):
    periods = next_due(0.0, late, PERIOD) / PERIOD
    assert abs(periods - round(periods)) < 1e-6 and periods >= 1
    assert next_due(0.0, late, PERIOD) > late - PERIOD, "at most one step comes at once"


def test_a_step_that_is_a_little_late_does_not_cost_a_period():
    assert next_due(0.0, 1.2 * PERIOD, PERIOD) == PERIOD
