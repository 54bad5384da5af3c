"""Keys of a person who intervenes, on a terminal with emulated servos."""

import sys

import numpy as np
import pytest

from handlab.emulation.emulated_hands import emulate_dynamixel
from handlab.experiments import training
from handlab.operation.intervention_keys import STEP, InterventionKeys
from handlab_core.demonstrations.intervening_person import Mode
from handlab_core.tasks import make_task
from handlab_hardware.station_file import station_path
from handlab_learning.runs.config import RunConfig

TASK = make_task("valve")
PROGRAM = sys.executable, "-m", "handlab.cli"


def test_keys_choose_a_finger_and_move_its_joints():
    sent = []
    keys = InterventionKeys(TASK.hand, lambda mode, step: sent.append((mode, step)))
    for key in "ui2kxtp9":
        keys.press(key)
    keys.press("")
    assert [mode for mode, _ in sent] == [Mode.JOG] * 3 + [Mode.LIMP, Mode.POLICY]
    moved = [(int(np.flatnonzero(step)[0]), step.sum()) for _, step in sent[:3]]
    assert moved == [(0, STEP), (1, STEP), (4, -STEP)]
    keys.press("l")  # the claw's fingers have three joints
    assert len(sent) == 5
    assert "1 to 3" in keys.hint and "u i o / j k m" in keys.hint
    allegro = InterventionKeys(make_task("allegro_valve").hand, lambda mode, step: None)
    assert "1 to 4" in allegro.hint and "u i o l" in allegro.hint


@pytest.mark.usefixtures("no_film")
@pytest.mark.timeout(400)
def test_a_person_takes_the_fingers_of_a_training_and_gives_them_back(terminal, tmp_path):
    link = tmp_path / "port"
    with emulate_dynamixel(station_path("claw"), link) as port:
        fingers = port.bus.loop.servos[: TASK.hand.n]

        def torques():
            return {servo.table.get("torque_enable") for servo in fingers}

        settings = {"hidden": [8], "batch": 16, "update_ratio": 0.1, "own_demonstrations": 0}
        config = RunConfig(
            hardware="dynamixel", port=str(link), algorithm="rlpd", settings=settings,
            interventions="person", until="hours", evaluate_every=100, evaluation_episodes=1,
        )  # fmt: skip
        folder = training.new_run(config, tmp_path)
        program = terminal(*PROGRAM, "train", "--resume", folder.path, cwd=tmp_path)
        program.until("t: take the limp fingers", "the hint", 120.0)
        program.until(lambda: folder.metrics_path.exists(), "the first evaluation", 180.0)
        began = program.until(lambda: torques() == {1}, "an episode", 60.0)
        for _ in range(100):  # a key between two episodes is without effect
            program.press("t")
            program.listen(0.1)
            if torques() == {0}:
                break
        assert torques() == {0}, f"the fingers are engaged, {began:.1f} s after the start"
        program.press("p")
        program.until(lambda: torques() == {1}, "the policy to go on", 60.0)
        rows = lambda: folder.metrics()[1:]  # noqa: E731  (the first evaluation is no iteration)
        program.until(lambda: any(row["intervention_rate"] > 0 for row in rows()), "a row", 120.0)
        program.press("\x03")
        assert program.code() in (0, 130)
