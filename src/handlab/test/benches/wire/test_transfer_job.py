"""Policies of the bench of transfer: kept ones, and those of claws that are not identified."""

import pytest

from handlab.benches.result import as_text
from handlab.benches.wire import transfer_job
from handlab.benches.wire.transfer_job import ALL, Job, fitted_values
from handlab_core.errors import BadConfig
from handlab_core.system.files import write_atomically
from handlab_core.worlds.levels import FULL


def test_a_policy_that_was_measured_is_not_measured_again_by_a_bench_that_goes_on(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    job, runs = Job(FULL, ALL, 0, 20, correct=False), {}
    assert not job.is_kept(runs)
    job.place.mkdir(parents=True)
    write_atomically(
        job.result, as_text({"name": job.name, "iterations": 20, "corrections": False})
    )
    assert job.is_kept(runs) and list(runs) == [job.name]
    assert not Job(FULL, ALL, 0, 21, correct=False).is_kept(runs)
    assert not Job(FULL, ALL, 0, 20, correct=True).is_kept(runs)
    assert not Job(FULL, ALL, 1, 20, correct=False).is_kept(runs)


def test_a_claw_that_is_not_identified_is_refused(monkeypatch):
    monkeypatch.setattr(transfer_job, "kept", lambda bench, key: {})
    with pytest.raises(BadConfig, match="bench identify --claws 7"):
        fitted_values(7)
