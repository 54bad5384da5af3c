"""The bench of transfer: its rows and its table."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from handlab.benches.wire import transfer
from handlab.benches.wire.transfer import transfer_table
from handlab_core.worlds.levels import FITTED, FULL


def run_of(level, claws, iterations=20, corrections=False, seed=0):
    rows = {
        str(number): {"strict": strict, "success": 1.0, "lost_return": 1.0 - strict}
        | ({"corrected": 1.0, "minutes": 2.0} if corrections else {})
        for number, strict in claws.items()
    }
    return {
        "level": level, "seed": seed, "iterations": iterations, "corrections": corrections,
        "simulated": 0.9, "wall_s": 60.0, "claws": rows,
        "probes": dict.fromkeys(transfer.PROBES, 0.5),
    }  # fmt: skip


def test_the_table_shows_success_and_the_worst_claw_and_corrections_once_they_are_measured():
    runs = [run_of(FULL, {0: 1.0, 1: 0.5}), run_of(FULL, {0: 1.0, 1: 0.7}, seed=1)]
    row = transfer._row(runs)
    text = transfer_table({"levels": {FULL: row}, "wire": {}, "command": "x"})
    assert "**80%** (60%) of 2 claws" in text and "`full`: 2" in text and "Not measured" in text
    row = transfer._row([run_of(FULL, {0: 1.0, 1: 0.5}, corrections=True)])
    text = transfer_table({"levels": {FULL: row}, "wire": {}, "command": "x"})
    assert "100% (100%)" in text


def test_a_fit_with_larger_errors_that_transfers_worse_correlates(monkeypatch):
    monkeypatch.setattr(transfer, "_fit_error", float)
    runs = [run_of(FITTED, {number: 0.9 - number / 10}) for number in range(4)]
    assert transfer._row(runs)["rank_correlation"] == pytest.approx(1.0)


@pytest.mark.parametrize("step", [0.01, 1.0])
def test_the_rank_correlation_is_spearmans_with_ties_too(step):
    rng = np.random.default_rng(2)
    for _ in range(5):
        one, noise = rng.normal(size=10), rng.normal(size=10)
        one, other = (np.rint(values / step) * step for values in (one, one**3 + noise))
        assert transfer.rank_correlation(one, other) == pytest.approx(
            spearmanr(one, other).statistic
        )
