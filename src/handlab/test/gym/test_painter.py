"""Pictures of one robot and of a batch, on a machine without a screen, too."""

import os
import subprocess
import sys

import numpy as np
import pytest
from gymnasium.wrappers import RecordVideo
from gymnasium.wrappers import vector as vector_wrappers

FOAM = "handlab/ClawValveFoam-v0"


def test_a_batch_draws_every_robot_as_it_is_drawn_alone(make, acts, play):
    envs, env = make(2, FOAM, render_mode="rgb_array"), make(name=FOAM, render_mode="rgb_array")
    play(envs, acts(2, 15), 4)
    frames = envs.render()
    assert len(frames) == 2 and {frame.shape for frame in frames} == {(480, 640, 3)}
    assert frames[0].dtype == np.uint8 and not np.array_equal(*frames)
    env.reset(seed=5)
    for action in acts(2, 15):
        env.step(action[1])
    np.testing.assert_allclose(frames[1].astype(int), env.render(), atol=3)


def test_without_a_render_mode_nothing_is_drawn(make):
    envs, env = make(2), make()
    envs.reset(seed=0)
    env.reset(seed=0)
    assert envs.render() is None and env.render() is None


DRAW = """
import gymnasium, mujoco, handlab.gym
env = gymnasium.make("handlab/ClawPose-v0", render_mode="rgb_array").unwrapped
env.reset(seed=0)
for _ in range(2):
    try:
        print(env.render().shape)
    except Exception as error:
        print(type(error).__name__, error)
env.close()
"""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, ["(480, 640, 3)"] * 2),
        ("glfw", ["RenderingUnavailable"] * 2),
    ],
)
def test_a_machine_without_a_screen_draws_or_says_why_not(value, said):
    """The first failing picture used to leave MuJoCo such that the second aborted Python."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "DISPLAY")}
    environment |= {} if value is None else {"MUJOCO_GL": value}
    done = subprocess.run(
        [sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [a.startswith(b) for a, b in zip(lines, said, strict=True)] == [True, True], lines


def test_gymnasium_records_videos_of_one_robot_and_of_a_batch(make, tmp_path, acts, play):
    env = RecordVideo(make(render_mode="rgb_array"), str(tmp_path / "one"), video_length=5)
    env.reset(seed=0)
    for action in acts(1, 6):
        env.step(action[0])
    env.close()
    record = vector_wrappers.RecordVideo
    envs = record(make(2, render_mode="rgb_array"), str(tmp_path / "two"), video_length=4)
    play(envs, acts(2, 5), 0)
    envs.close()
    for folder in ("one", "two"):
        videos = sorted((tmp_path / folder).glob("*.mp4"))
        assert videos and all(video.stat().st_size > 1000 for video in videos)
