"""The bench of the soft finger, whole: it takes a second."""

import json

import numpy as np

from handlab.benches.models import finger
from handlab.benches.result import as_text
from handlab_sim.soft_finger import PRESSURES


def test_every_tip_that_was_left_out_is_judged_and_the_worst_is_the_figure():
    result = finger.measure(0)
    rows = result.details["fitted_to"]
    for name, (seen, _) in finger.SPLITS.items():
        judged = np.array(rows[name]["pressures_bar"])
        assert len(judged) == len(rows[name]["off"]) == len(PRESSURES) - len(PRESSURES[seen])
        assert not np.isclose(judged[:, None], PRESSURES[seen]).any()
    assert result.value == max(max(row["off"]) for row in rows.values())
    assert result.ratio < 1.0
    cell = finger._cell(json.loads(as_text(result.plain())))
    assert f"**{result.value:.1%}**" in cell and "every second pressure" in cell
