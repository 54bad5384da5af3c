"""Gymnasium's face: what its own tools, wrappers and stable-baselines3 ask of an environment."""

import importlib.util
import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import NormalizeObservation, RecordEpisodeStatistics, RecordVideo
from gymnasium.wrappers import vector as vector_wrappers

import handlab.gym
from handlab.stable_baselines import BatchVecEnv
from handlab_core.errors import BadConfig, HandlabError, RenderingUnavailable, UnknownName
from handlab_core.system.paths import share
from handlab_core.tasks import TASKS
from handlab_sim import offscreen

VALVE, FOAM = "handlab/ClawValve-v0", "handlab/ClawValveFoam-v0"
MODES = list(AutoresetMode)
STEPS = 60


@pytest.fixture
def make():
    """Make environments that are closed after the test."""
    made = []

    def make(number=None, name=VALVE, **options):
        if number is None:
            made.append(gymnasium.make(name, **options))
        else:
            made.append(gymnasium.make_vec(name, num_envs=number, **options))
        return made[-1]

    yield make
    for env in made:
        env.close()


def still(number):
    return np.zeros((number, 9))


def acts(number, steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, number, 9))


@pytest.mark.parametrize("name", sorted(TASKS))
def test_gymnasiums_own_checker_passes_for_every_task(make, name):
    task = TASKS.make(name)
    env = make(name=handlab.gym.gym_id(task), render_mode="rgb_array")
    check_env(env.unwrapped)
    assert env.unwrapped.metadata["render_fps"] == round(1 / task.period)
    _, info = env.reset(seed=1)
    np.testing.assert_array_equal(info["goal"], task.start(1, 0).goal_angle)


def test_no_two_tasks_have_one_name_in_gymnasium():
    assert len({handlab.gym.gym_id(build()) for build in TASKS.values()}) == len(TASKS)


@pytest.mark.parametrize("backend", handlab.gym.BACKENDS)
def test_gymnasiums_own_checker_passes(make, backend):
    env = make(backend=backend, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.reset(seed=1)
    total = 0
    for _ in range(STEPS):
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        total += 1
        if terminated or truncated:
            break
    assert total == STEPS and truncated and "error" in info
    assert env.reset()[1]["reset_s"] > 0  # by its own motors


# What cannot be is refused ------------------------------------------------------------------------


def test_a_batch_of_graphs_is_refused_with_the_reason():
    with pytest.raises(BadConfig, match=r"one robot.*gymnasium\.make"):
        gymnasium.make_vec(VALVE, num_envs=2, backend="graph")
    with pytest.raises(UnknownName, match="sim"):
        gymnasium.make_vec(VALVE, num_envs=2, backend="x")


@pytest.mark.parametrize(
    "options",
    [{"colour": "red"}, {"max_episode_steps": 3}, {"domain": 3}, {"pace": "real"}, {"seed": 1}],
    ids=str,
)
def test_a_batch_refuses_keywords_that_it_does_not_know(options):
    with pytest.raises(TypeError, match=next(iter(options))):
        gymnasium.make_vec(VALVE, num_envs=2, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"backend": "x"}, UnknownName, "sim"),
        ({"reward": "x"}, UnknownName, "robel"),
        ({"reward": ""}, UnknownName, "robel"),
        ({"domain": 3}, BadConfig, "graph"),
        ({"pace": "lockstep"}, BadConfig, "graph"),
        ({"backend": "graph", "pace": "x"}, UnknownName, "lockstep"),
        ({"render_mode": "ansi"}, UnknownName, "rgb_array"),
        ({"colour": "red"}, TypeError, "colour"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        handlab.gym.HandlabEnv("valve", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs"),
        ({"num_envs": 2.5}, "num_envs"),
        ({"num_envs": True}, "num_envs"),
        ({"threads": -1}, "threads"),
        ({"render_mode": "human"}, "rgb_array"),
        ({"autoreset_mode": "now"}, "NextStep"),
    ],
    ids=str,
)
def test_numbers_and_modes_that_cannot_be_are_refused(options, message):
    with pytest.raises(HandlabError, match=message):
        handlab.gym.HandlabVectorEnv("valve", **options)


@pytest.mark.parametrize("number", [None, 3], ids=["one robot", "three robots"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: np.where(np.arange(a.size).reshape(a.shape) == 4, np.nan, a), "nan at .*4"),
        (lambda a: np.where(np.arange(a.size).reshape(a.shape) == 4, np.inf, a), "inf at .*4"),
        (lambda a: a[..., :-1], "given: .*8"),
        (lambda a: a[None], "given: .*1, "),
        (lambda a: 0.0, r"given: \(\)"),
        (lambda a: None, "None"),
        (lambda a: a.astype(str), "of numbers"),
        (lambda a: a.astype(complex), "of numbers"),
        (lambda a: [[0.0], [0.0, 1.0]], "of numbers"),
    ],
)
def test_an_action_that_is_not_one_is_refused_and_the_episode_goes_on(make, number, spoil, message):
    env = make(number).unwrapped
    env.reset(seed=0)
    good = np.zeros(env.action_space.shape)
    with pytest.raises(gymnasium.error.InvalidAction, match=message) as caught:
        env.step(spoil(good))
    assert isinstance(caught.value, HandlabError)
    assert not np.any(env.step(good)[3])


@pytest.mark.parametrize("number", [None, 2], ids=["one robot", "two robots"])
def test_nothing_is_stepped_or_drawn_before_the_first_reset_or_after_the_end(make, number):
    env = make(number, render_mode="rgb_array").unwrapped
    action = np.zeros(env.action_space.shape)
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"reset\(\) before render"):
        env.render()
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"reset\(\) before step"):
        env.step(action)
    env.reset(seed=0)
    env.step(action)
    if number is None:
        for _ in range(STEPS - 1):
            env.step(action)
        with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
            env.step(action)
    env.close()
    env.close()
    for call in (lambda: env.step(action), env.reset, env.render):
        with pytest.raises(gymnasium.error.ClosedEnvironmentError, match="closed"):
            call()


@pytest.mark.parametrize("number", [None, 2], ids=["one robot", "two robots"])
@pytest.mark.parametrize("options", [{"colour": 1}, {"reset_mask": [True, True]}, ["x"]], ids=str)
def test_options_of_a_reset_are_honoured_or_refused(make, number, options):
    env = make(number)
    with pytest.raises(handlab.gym.BadArgument, match=r"colour|reset_mask|dict"):
        env.reset(seed=0, options=options)


@pytest.mark.parametrize("seed", [-1, 1.5, "0", [1], [1, 2, 3], [1, -2], [1, True], {1, 2}, True])
def test_seeds_that_cannot_be_are_refused(make, seed):
    envs = make(2)
    with pytest.raises(gymnasium.error.Error, match="seed"):
        envs.reset(seed=seed)


@pytest.mark.parametrize(
    "mask",
    [
        [True, False],
        np.array([1, 0]),
        np.array([True]),
        np.array([[True, False]]),
        np.zeros(2, bool),
    ],
    ids=str,
)
def test_masks_that_cannot_be_are_refused(make, mask):
    envs = make(2)
    envs.reset(seed=0)
    with pytest.raises(handlab.gym.BadArgument, match="reset_mask"):
        envs.reset(options={"reset_mask": mask})


def test_some_robots_are_not_reset_before_all_were(make):
    with pytest.raises(gymnasium.error.ResetNeeded, match="all"):
        make(2).reset(options={"reset_mask": np.array([True, False])})


# A batch is its robots one by one -----------------------------------------------------------------


def play(envs, script, seed=None):
    """Reset, act, and return all that came back."""
    seen = [envs.reset(seed=seed)]
    return seen + [envs.step(action) for action in script]


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_batch_gives_what_its_robots_give_one_by_one(make, name, mode):
    """Beside Gymnasium's own SyncVectorEnv: observations, rewards, ends and every fact of info."""
    name, steps = handlab.gym.gym_id(TASKS.make(name)), TASKS.make(name).steps
    seeds = [5, 11, 5]
    batch = make(3, name, autoreset_mode=mode)
    sync = SyncVectorEnv([lambda: gymnasium.make(name)] * 3, autoreset_mode=mode)
    n = batch.single_action_space.shape[0]
    script = np.random.default_rng(0).uniform(-1, 1, (steps + 3, 3, n))
    try:
        for mine, theirs in zip(play(batch, script, seeds), play(sync, script, seeds), strict=True):
            assert data_equivalence(mine, theirs, exact=True)
    finally:
        sync.close()


def test_a_number_seeds_robots_one_after_the_other(make):
    a, b, c = (make(3, "handlab/ClawValveRandom-v0") for _ in range(3))
    observation = a.reset(seed=7)[0]
    np.testing.assert_array_equal(observation, b.reset(seed=[7, 8, 9])[0])
    np.testing.assert_array_equal(observation, c.reset(seed=np.array([7, 8, 9]))[0])
    assert not np.array_equal(a.reset(seed=8)[0], observation)


def test_lists_of_seeds_give_the_same_again(make):
    """But for the last digit: velocities are differences of times, which go on."""
    envs = make(3, "handlab/ClawValveRandom-v0")
    script = acts(3, STEPS + 5)
    first = play(envs, script, [3, 1, 4])
    assert data_equivalence(first, play(envs, script, [3, 1, 4]))
    other = play(envs, script, [3, 2, 4])
    assert np.array_equal(other[0][0][[0, 2]], first[0][0][[0, 2]])
    assert not np.array_equal(other[0][0][1], first[0][0][1])


def test_a_robot_without_a_seed_goes_on_with_its_series(make):
    envs = make(2, "handlab/ClawValveRandom-v0")
    goals = [envs.reset(seed=[1, None])[1]["goal"], envs.reset(seed=[1, None])[1]["goal"]]
    assert goals[0][0] == goals[1][0] and goals[0][1] != goals[1][1]


@pytest.mark.parametrize("mode", MODES)
def test_a_masked_reset_leaves_the_other_robots_as_they_are(make, mode):
    envs, alone = make(3, autoreset_mode=mode), make(3, autoreset_mode=mode)
    script = acts(3, STEPS - 10)
    play(alone, script, 0)
    play(envs, script[:20], 0)
    mask = np.array([False, True, False])
    _, info = envs.reset(seed=[9, 9, 9], options={"reset_mask": mask})
    np.testing.assert_array_equal(info["_goal"], mask)
    for action in script[20:]:
        _observation, *_ = envs.step(action)
    for action in acts(3, 10, seed=1):
        seen, expected = envs.step(action), alone.step(action)
        np.testing.assert_array_equal(seen[0][[0, 2]], expected[0][[0, 2]])
        np.testing.assert_array_equal(seen[1][[0, 2]], expected[1][[0, 2]])
    np.testing.assert_array_equal(seen[3], [True, False, True])
    if mode is AutoresetMode.SAME_STEP:
        np.testing.assert_array_equal(seen[4]["_final_obs"], seen[3])
        assert seen[4]["final_obs"][1] is None and not seen[4]["_reset_s"][1]


def test_autoreset_in_the_next_step_ignores_the_action_of_that_step(make):
    envs = make(2)
    seen = play(envs, still(2)[None].repeat(STEPS, 0), 0)
    assert seen[-1][3].all() and not seen[-2][3].any()
    _observation, reward, terminated, truncated, info = envs.step(still(2))
    assert not (reward.any() or terminated.any() or truncated.any())
    assert info["_reset_s"].all() and "error" not in info
    assert "error" in envs.step(still(2))[4]


def test_without_autoreset_the_end_is_named_and_a_masked_reset_goes_on(make):
    envs = make(2, autoreset_mode="Disabled")
    assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    play(envs, acts(2, STEPS - 5), 0)
    envs.reset(seed=3, options={"reset_mask": np.array([True, False])})
    for action in acts(2, 5):
        *_, ended, _ = envs.step(action)
    np.testing.assert_array_equal(ended, [False, True])
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[1\].*reset_mask"):
        envs.step(still(2))
    envs.reset(options={"reset_mask": ended})
    assert not envs.step(still(2))[3].any()


# Pictures -----------------------------------------------------------------------------------------


def test_a_batch_draws_every_robot_as_it_is_drawn_alone(make):
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


def test_only_what_is_no_way_to_draw_is_refused(monkeypatch):
    for value, expected in (
        ("", offscreen.GL_BACKENDS),
        ("on", offscreen.GL_BACKENDS),
        ("EGL ", ("egl",)),
    ):
        monkeypatch.setenv("MUJOCO_GL", value)
        assert offscreen.candidates() == expected
    for value, message in (("vulkan", r"vulkan.*egl, osmesa"), ("off", "turns drawing off")):
        monkeypatch.setenv("MUJOCO_GL", value)
        with pytest.raises(RenderingUnavailable, match=message):
            offscreen.candidates()


# Gymnasium's wrappers, and stable-baselines3 ------------------------------------------------------


def test_gymnasium_records_videos_of_one_robot_and_of_a_batch(make, tmp_path):
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


def test_gymnasium_normalises_observations_of_one_robot_and_of_a_batch(make):
    env = NormalizeObservation(make())
    env.reset(seed=0)
    seen = np.array([env.step(action[0])[0] for action in acts(1, STEPS)])
    assert np.isfinite(seen).all() and np.abs(seen.mean()) < 1
    envs = vector_wrappers.NormalizeObservation(make(4))
    seen = np.array([step[0] for step in play(envs, acts(4, STEPS + 5), 0)])
    assert np.isfinite(seen).all() and 0.3 < seen[20:].std() < 3
    with pytest.raises(ValueError, match="NEXT_STEP"):  # Gymnasium's own limit
        vector_wrappers.NormalizeObservation(make(2, autoreset_mode="SameStep"))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_gymnasium_counts_episodes_of_one_robot_and_of_a_batch(make, mode):
    env = RecordEpisodeStatistics(make())
    env.reset(seed=0)
    rewards = [env.step(np.zeros(9)) for _ in range(STEPS)]
    assert rewards[-1][4]["episode"]["l"] == STEPS
    envs = vector_wrappers.RecordEpisodeStatistics(make(3, autoreset_mode=mode))
    steps = [step for step in play(envs, still(3)[None].repeat(2 * STEPS + 2, 0), 0)[1:]]
    assert list(envs.length_queue) == [STEPS] * 6
    total = sum(step[1] for step in steps[:STEPS])
    np.testing.assert_allclose(list(envs.return_queue)[:3], total)
    assert rewards[-1][4]["episode"]["r"] == pytest.approx(sum(step[1] for step in rewards))


def learns(env, **options):
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", env, n_steps=60, batch_size=60, n_epochs=1, device="cpu", **options)
    before = {k: v.clone() for k, v in model.policy.state_dict().items()}
    model.learn(360)
    return any((before[k] != v).any() for k, v in model.policy.state_dict().items())


@pytest.mark.parametrize("backend", handlab.gym.BACKENDS)
def test_stable_baselines_trains_on_one_robot(make, backend):
    assert learns(make(backend=backend), seed=0)


def test_stable_baselines_trains_on_a_batch(make):
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

    envs = BatchVecEnv(make(3, autoreset_mode="SameStep", render_mode="rgb_array"))
    monitored = VecMonitor(envs)
    assert learns(VecNormalize(monitored), seed=0)
    assert set(monitored.episode_lengths.tolist()) <= set(range(STEPS + 1))
    assert envs.render().shape[2] == 3  # tiled

    class Still:
        def predict(self, observation, **_):
            return np.zeros((len(observation), 9)), None

    returns, lengths = evaluate_policy(Still(), monitored, 6, return_episode_rewards=True)
    assert lengths == [STEPS] * 6 and np.isfinite(returns).all()


def test_stable_baselines_gets_the_end_and_the_next_beginning_in_one_step(make):
    envs, same = BatchVecEnv(make(2, autoreset_mode="SameStep")), make(2, autoreset_mode="SameStep")
    assert envs.seed(3) == [3, 4]
    np.testing.assert_array_equal(envs.reset(), same.reset(seed=3)[0])
    for action in acts(2, STEPS):
        observation, _reward, done, infos = envs.step(action)
        theirs = same.step(action)
    assert done.all() and all(info["TimeLimit.truncated"] for info in infos)
    np.testing.assert_array_equal(observation, theirs[0])
    for i in range(2):
        np.testing.assert_array_equal(infos[i]["terminal_observation"], theirs[4]["final_obs"][i])
        assert infos[i]["error"] == theirs[4]["final_info"]["error"][i]
        assert envs.reset_infos[i]["reset_s"] > 0
    assert not envs.step(still(2))[3][0]["TimeLimit.truncated"]


def test_stable_baselines_is_not_given_a_batch_that_resets_at_another_time(make):
    with pytest.raises(BadConfig, match="SameStep"):
        BatchVecEnv(make(2))


def test_the_example_for_stable_baselines_runs(capsys):
    spec = importlib.util.spec_from_file_location(
        "example", share() / "examples/stable_baselines.py"
    )
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    mean = example.main(["--robots", "8", "--steps", "480"])
    assert f"{mean:.1f}" in capsys.readouterr().out
