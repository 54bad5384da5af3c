"""Run folders, checkpoints, settings and the training loop, on a sampler made of arithmetic."""

import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
import yaml

from handlab_core.errors import BadConfig, BadRun, LayoutMismatch, UnknownName
from handlab_core.tasks import make_task
from handlab_learning import checkpoint
from handlab_learning.run_config import RunConfig, parse_settings
from handlab_learning.run_folder import RunFolder
from handlab_learning.trainer import Progress, Streak, Trainer

SMALL = {"hidden": [6], "episodes_per_iteration": 3, "baseline.hidden": [8]}


class Sampler:
    """Gives episodes that depend on policy, seed and number alone, and may break down."""

    def __init__(self, episodes_of, task, dies_after=None):
        self.episodes_of, self.task, self.left = episodes_of, task, dies_after
        self.asked = []

    def sample(self, policy, seed, episodes, deterministic=False, on_episode=None):
        if self.left is not None:
            if self.left == 0:
                raise RuntimeError("killed")
            self.left -= 1
        self.asked.append(list(episodes))
        rng = np.random.default_rng((seed, episodes[0], policy.version))

        def reward(action):
            return -np.square(action - 0.3).sum(-1)

        return self.episodes_of(self.task, policy, rng, reward, count=len(episodes))


@pytest.fixture
def config():
    return RunConfig(
        max_hours=0.03, evaluate_every=2, evaluation_episodes=4, until="hours", settings=SMALL
    )


def train(tmp_path, episodes_of, config, name="a", dies_after=None, resume=None):
    folder = resume or RunFolder.create(tmp_path / name, config, datetime(2026, 1, 2))
    sampler = Sampler(episodes_of, config.make_task(), dies_after)
    rows = []
    summary = Trainer(folder, sampler, resume is not None, rows.append).run()
    return folder, summary, rows


def without_clock(row):
    return {k: v for k, v in row.items() if k not in ("wall_s", "learn_s", "steps_per_s")}


def test_a_run_leaves_everything_behind(tmp_path, episodes_of, config):
    folder, summary, rows = train(tmp_path, episodes_of, config)
    assert folder.path.name == "20260102-000000-valve-npg-s0"
    assert [row["iteration"] for row in folder.metrics()] == list(range(1, len(rows) + 1))
    assert folder.summary() == json.loads(json.dumps(summary))
    assert folder.config() == config
    assert summary["robot_hours"] >= config.max_hours
    assert summary["robot_hours_to_success"] == rows[1]["robot_hours"]  # all were successes
    assert list(folder.path.glob("events.out.tfevents*"))


def test_killed_and_resumed_is_uninterrupted(tmp_path, episodes_of, config):
    whole, summary, _ = train(tmp_path, episodes_of, config)
    folder = RunFolder.create(tmp_path / "b", config, datetime(2026, 1, 2))
    with pytest.raises(RuntimeError, match="killed"):
        Trainer(folder, Sampler(episodes_of, config.make_task(), dies_after=8)).run()
    with folder.metrics_path.open("a") as file:
        file.write('{"iteration": 99, "cut off in the mid')
    _, resumed, _ = train(tmp_path, episodes_of, config, resume=folder)
    assert [without_clock(r) for r in folder.metrics()] == [
        without_clock(r) for r in whole.metrics()
    ]
    a, b = (
        whole.newest_checkpoint().policy().tensors(),
        folder.newest_checkpoint().policy().tensors(),
    )
    for name, tensor in a.items():
        np.testing.assert_array_equal(tensor, b[name])
    same = {"run_dir", "wall_s"}
    assert {k: v for k, v in resumed.items() if k not in same} == {
        k: v for k, v in summary.items() if k not in same
    }


def test_training_and_evaluation_never_share_an_episode(tmp_path, episodes_of, config):
    folder = RunFolder.create(tmp_path, config, datetime(2026, 1, 2))
    sampler = Sampler(episodes_of, config.make_task())
    Trainer(folder, sampler).run()
    numbers = [number for asked in sampler.asked for number in asked]
    assert len(numbers) == len(set(numbers))


def test_only_the_newest_checkpoints_stay(tmp_path, episodes_of, config):
    folder, _, rows = train(tmp_path, episodes_of, config)
    kept = sorted(path.name for path in folder.checkpoints.iterdir())
    newest = range(len(rows) - checkpoint.KEEP + 1, len(rows) + 1)
    assert kept == sorted(f"{i:06d}{s}" for i in newest for s in (".json", ".safetensors"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: (p / "config.yaml").unlink(), "not a run folder: it has no config.yaml"),
        (lambda p: (p / "config.yaml").write_text("task: valve\n"), "truncated: it lacks"),
        (lambda p: [f.unlink() for f in (p / "checkpoints").iterdir()], "holds no checkpoint"),
        (lambda p: [f.unlink() for f in (p / "checkpoints").glob("*.safetensors")], "is missing"),
        (lambda p: [f.write_text("{") for f in (p / "checkpoints").glob("*.json")], "not a check"),
        (
            lambda p: [f.write_bytes(b"x") for f in (p / "checkpoints").glob("*.saf*")],
            "cannot be read",
        ),
    ],
)
def test_a_damaged_folder_says_what_is_missing_and_is_not_touched(
    tmp_path, episodes_of, config, damage, message
):
    folder, _, _ = train(tmp_path, episodes_of, config)
    damage(folder.path)
    before = {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}
    with pytest.raises(BadRun, match=message):
        Trainer(folder, Sampler(episodes_of, make_task("valve")), resume=True)
    assert {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()} == before


def test_a_run_that_has_not_ended_says_how_to_go_on(tmp_path, config):
    folder = RunFolder.create(tmp_path, config, datetime(2026, 1, 2))
    with pytest.raises(BadRun, match="--resume"):
        folder.summary()
    with pytest.raises(BadRun, match="no run folder"):
        RunFolder(tmp_path / "nowhere").config()


def test_a_checkpoint_of_another_layout_is_refused(tmp_path, episodes_of, config):
    folder, _, _ = train(tmp_path, episodes_of, config)
    path = folder.newest_checkpoint().manifest_path
    manifest = json.loads(path.read_text())
    manifest["layout"] = '[["joints", 4]]'
    path.write_text(json.dumps(manifest))
    with pytest.raises(LayoutMismatch, match=r'joints", 4.*joints", 9'):
        checkpoint.load(folder.path).policy()


def test_config_yaml_is_the_resolved_configuration(tmp_path, config):
    folder = RunFolder.create(tmp_path, config, datetime(2026, 1, 2))
    written = yaml.safe_load(folder.config_path.read_text())
    assert written["resolved"]["hidden"] == [6] and written["resolved"]["gamma"] == 0.98


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"task": "x"}, UnknownName, "unknown task 'x'; there is: "),
        ({"reward": "x"}, UnknownName, "bonus, post, robel"),
        ({"algorithm": "x"}, UnknownName, "unknown algorithm 'x'; there is: bc, dapg, npg"),
        ({"backend": "x"}, UnknownName, "unknown backend 'x'; there is: graph, sim"),
        ({"settings": {"gama": 0.9}}, UnknownName, "gamma"),
        ({"settings": {"gamma": "high"}}, BadConfig, "gamma is 'high'; it must be a number"),
        ({"settings": {"baseline.rate": 1e-3, "baseline": 3}}, BadConfig, "baseline.<field>"),
        ({"settings": {"gamma.x": 1.0}}, BadConfig, "gamma is one setting"),
        ({"max_hours": 0}, BadConfig, "max_hours is 0; it must be greater than 0"),
        ({"max_hours": float("nan")}, BadConfig, "max_hours is nan"),
        ({"max_hours": float("inf")}, BadConfig, "max_hours is inf"),
        ({"max_hours": True}, BadConfig, "max_hours is True; it must be a number"),
        ({"success_rate": 7}, BadConfig, "success_rate is 7; it must be less"),
        ({"streak": -1}, BadConfig, "streak is -1; it must be greater"),
        ({"seed": -1}, BadConfig, "seed is -1; it must be greater"),
        ({"seed": 2**64}, BadConfig, "seed is 18446744073709551616; it must be less"),
        ({"evaluation_episodes": 0}, BadConfig, "evaluation_episodes is 0"),
        ({"vary": "x"}, BadConfig, "vary is 'x'; it must be a list"),
        ({"station": "a\0b"}, BadConfig, "control characters"),
        ({"settings": {"kl": float("nan")}}, BadConfig, "kl is nan"),
        ({"settings": {"kl": 1e300}}, BadConfig, "kl is 1e.300; it must be less"),
        ({"settings": {"hidden": [0]}}, BadConfig, "hidden.0 is 0"),
        ({"settings": {"hidden": [10**9]}}, BadConfig, "hidden.0 is 1000000000"),
        ({"settings": {"hidden": 3}}, BadConfig, "hidden is 3; it must be a list"),
        ({"settings": {"cg_steps": None}}, BadConfig, "cg_steps is None"),
        ({"settings": {"cg_steps": "2026-01-02"}}, BadConfig, "cg_steps is '2026-01-02'"),
        ({"settings": {"baseline.rate": -1}}, BadConfig, "baseline.rate is -1"),
        ({"settings": {"baseline.memory": 0}}, BadConfig, "baseline.memory is 0"),
        ({"settings": {"log_std": 800}}, BadConfig, "log_std is 800"),
        ({"vary": ["object.mass=2"]}, BadConfig, "--backend sim"),
        (
            {"hardware": "x"},
            UnknownName,
            "unknown hardware 'x'; there is: allegro, dynamixel, mujoco",
        ),
        ({"hardware": "allegro", "backend": "sim"}, BadConfig, "add --backend graph"),
        ({"estimator": "x"}, UnknownName, "unknown estimator 'x'; there is: camera, encoder"),
    ],
)
def test_a_run_that_cannot_be_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        RunConfig(**change)


def test_settings_are_read_as_yaml():
    assert parse_settings(["kl=0.1", "hidden=[32, 32]"]) == {"kl": 0.1, "hidden": [32, 32]}
    assert parse_settings(["kl=1e-3", "cg_steps=5"]) == {"kl": 1e-3, "cg_steps": 5}
    assert RunConfig(settings={"hidden": [32, 32]}).algorithm_config().hidden == (32, 32)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["kl"], "name=value, not 'kl'"),
        (["kl=[1, 2"], "'kl' is not YAML"),
        (["kl=1", "kl=2"], "'kl' comes twice"),
        ([f"kl={'9' * 5000}"], "'kl' holds a value that cannot be read"),
        (["kl=*a"], "aliases are not allowed"),
        (["kl={a: 1, a: 2}"], "'a' comes twice"),
        ([f"kl={'[' * 5000}"], "nested too deeply"),
    ],
)
def test_a_setting_that_cannot_be_read_is_refused_with_one_line(pairs, words):
    with pytest.raises(BadConfig) as refusal:
        parse_settings(pairs)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_streak_counts_from_its_first_good_evaluation():
    streak = Streak()
    for hours, good in [(1, True), (2, False), (3, True), (4, True), (5, True), (6, False)]:
        streak = streak.after(good, hours, enough=3)
    assert streak.reached == 3 and streak.length == 0


def test_robot_time_is_the_sum_of_its_parts():
    assert (
        Progress(experience_s=1800, reset_s=1200, cooling_s=600, evaluation_s=9e8).robot_hours == 1
    )


@pytest.mark.parametrize(
    ("failing", "watched"), [(range(30), 4), ([0, 1, 2, 7], 12), ([0, 5, 29], 30), ([], 30)]
)
def test_an_evaluation_ends_when_it_cannot_be_good_any_more(
    tmp_path, episodes_of, failing, watched
):
    """Of 30 episodes 3 may fail; they are watched 4, then 8, then 16 at a time."""
    config = RunConfig(settings=SMALL, max_hours=0.001)
    folder = RunFolder.create(tmp_path, config, datetime(2026, 1, 2))
    sampler = Sampler(episodes_of, config.make_task())
    trainer = Trainer(folder, sampler)
    give = sampler.sample

    def sample(policy, seed, episodes, **kwargs):
        done = give(policy, seed, episodes, **kwargs)
        numbers = [number - 1_000_000 for number in episodes]
        return [replace(e, success=n not in failing) for n, e in zip(numbers, done, strict=True)]

    sampler.sample = sample
    verdict = trainer._evaluate()
    assert verdict["episodes"] == watched
    good = trainer.progress.success.length == 1
    assert good == (len(failing) <= 3)
