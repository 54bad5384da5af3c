"""Run folders, checkpoints, settings and the training loop, on a sampler made of arithmetic."""

import json
import shutil
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
import yaml

from handlab_core.environment.episode import Outcome
from handlab_core.errors import BadConfig, BadRun, LayoutMismatch, UnknownName
from handlab_core.tasks import make_task
from handlab_learning.runs import checkpoint, evaluation
from handlab_learning.runs.config import RunConfig, config_of, parse_settings
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.progress import Progress, Streak
from handlab_learning.runs.trainer import Trainer
from handlab_learning.runs.writer import RunWriter

SMALL = {"hidden": [6], "episodes_per_iteration": 3, "baseline.hidden": [8]}


class Sampler:
    """Gives episodes that depend on policy, seed and number alone, and may break down."""

    def __init__(self, episodes_of, task, dies_after=None):
        self.episodes_of, self.task, self.left = episodes_of, task, dies_after
        self.asked = []

    def sample(self, policy, plan):
        if self.left is not None:
            if self.left == 0:
                raise RuntimeError("killed")
            self.left -= 1
        self.asked.append(list(plan.numbers))
        rng = np.random.default_rng((plan.seed, plan.numbers[0], policy.version))

        def reward(action):
            return -np.square(action - 0.3).sum(-1)

        return self.episodes_of(self.task, policy, rng, reward, count=len(plan.numbers))


@pytest.fixture
def config():
    return RunConfig(
        max_hours=0.03, evaluate_every=2, evaluation_episodes=4, until="hours", settings=SMALL
    )


def train(tmp_path, episodes_of, config, name="a", dies_after=None, resume=None):
    folder = resume or RunFolder.create(tmp_path / name, config, datetime(2026, 1, 2))
    sampler = Sampler(episodes_of, config.make_task(), dies_after)
    rows = []
    summary = Trainer(config, sampler, rows.append).run(folder, resume is not None)
    return folder, summary, rows


def without_clock(row):
    return {k: v for k, v in row.items() if k not in ("wall_s", "learn_s", "steps_per_s")}


def test_a_run_leaves_everything_behind(tmp_path, episodes_of, config):
    folder, summary, rows = train(tmp_path, episodes_of, config)
    assert folder.path.name == "20260102-000000-valve-npg-s0"
    assert [row["iteration"] for row in folder.metrics()] == list(range(len(rows)))
    assert folder.summary() == json.loads(json.dumps(summary))
    assert RunFolder(folder.path).config() == config
    assert summary["robot_hours"] >= config.max_hours
    assert summary["robot_hours_to_success"] == 0.0  # all were successes, the first, too
    assert list(folder.path.glob("events.out.tfevents*"))


def test_killed_and_resumed_is_uninterrupted(tmp_path, episodes_of, config):
    whole, summary, _ = train(tmp_path, episodes_of, config)
    folder = RunFolder.create(tmp_path / "b", config, datetime(2026, 1, 2))
    with pytest.raises(RuntimeError, match="killed"):
        Trainer(config, Sampler(episodes_of, config.make_task(), dies_after=8)).run(folder)
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


def test_a_trainer_learns_without_any_file(episodes_of, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = Trainer(config, Sampler(episodes_of, config.make_task()))
    rows = [trainer.evaluate_first()]
    while not trainer.ended():
        rows.append(trainer.iterate())
    assert [row["iteration"] for row in rows] == list(range(len(rows))) and len(rows) > 3
    assert trainer.algorithm.policy().version == trainer.progress.iteration
    assert not list(tmp_path.iterdir())


def test_a_run_is_made_of_its_configuration_whatever_its_file_holds(tmp_path, episodes_of, config):
    folder = RunFolder.create(tmp_path, config, datetime(2026, 1, 2))
    folder.config_path.write_text("damaged by an editor\n")
    summary = Trainer(folder.config(), Sampler(episodes_of, config.make_task())).run(folder)
    assert summary["iterations"] > 1
    with pytest.raises(BadRun, match=r"config\.yaml"):
        RunFolder(folder.path).config()


def test_a_configuration_survives_the_wire(config):
    text = json.dumps(config.as_data())
    assert config_of(text, "config") == config
    with pytest.raises(BadConfig, match="config: unknown key"):
        config_of(json.dumps({"what": 3}), "config")
    with pytest.raises(BadConfig, match="config"):
        config_of("[", "config")


def test_learning_choosing_and_judging_never_share_an_episode(tmp_path, episodes_of, config):
    folder = RunFolder.create(tmp_path, config, datetime(2026, 1, 2))
    sampler = Sampler(episodes_of, config.make_task())
    Trainer(config, sampler).run(folder)
    numbers = [number for asked in sampler.asked for number in asked]
    begins = (0, evaluation.DURING_TRAINING, evaluation.AFTER_TRAINING, evaluation.BETWEEN_POLICIES)
    kinds = np.digitize(numbers, begins)
    assert set(kinds) == {1, 2, 3, 4}
    for kind in (1, 2):
        once = np.array(numbers)[kinds == kind]
        assert len(once) == len(set(once))
    assert numbers[:7] == [
        *range(evaluation.DURING_TRAINING, evaluation.DURING_TRAINING + 4),
        0,
        1,
        2,
    ]


def test_the_first_evaluation_leaves_learning_as_it_is(tmp_path, episodes_of, config, monkeypatch):
    """Cloned or not, a policy is judged before its first update, and learns the same after it."""
    _, _, rows = train(tmp_path, episodes_of, config)
    folder = RunFolder.create(tmp_path / "b", config, datetime(2026, 1, 2))
    trainer = Trainer(config, Sampler(episodes_of, config.make_task()))
    monkeypatch.setattr(RunWriter, "begin", lambda *_: trainer.progress)
    summary = trainer.run(folder)
    first, *others = rows
    assert first["iteration"] == 0 and first["robot_hours"] == 0.0
    assert first["evaluation"]["episodes"] == 4 and summary["initial"] is None
    assert [row["learner"] for row in others] == [row["learner"] for row in folder.metrics()]


def test_worlds_of_its_own_run_the_first_evaluation(tmp_path, episodes_of, config):
    folder = RunFolder.create(tmp_path, config, datetime(2026, 1, 2))
    one, other = (Sampler(episodes_of, config.make_task()) for _ in range(2))
    Trainer(config, one, first_sampler=other).run(folder)
    first = range(evaluation.DURING_TRAINING, evaluation.DURING_TRAINING + 4)
    assert [number for asked in other.asked for number in asked] == list(first)
    assert one.asked[0] == [0, 1, 2]


class Judged(Sampler):
    """Gives episodes whose success is a function of policy version and episode number."""

    def __init__(self, episodes_of, task, succeeds):
        super().__init__(episodes_of, task)
        self.succeeds = succeeds

    def sample(self, policy, plan):
        done = super().sample(policy, plan)
        verdicts = [self.succeeds(policy.version, number) for number in plan.numbers]
        return [
            replace(e, outcome=Outcome(good, good)) for e, good in zip(done, verdicts, strict=True)
        ]


def lost_again(version, number):
    """Iteration 4 can do it, 6 half, 2 was lucky once, all others cannot."""
    lucky = version == 2 and number < evaluation.AFTER_TRAINING
    return lucky or version == 4 or (version == 6 and number % 2 == 0)


@pytest.fixture
def lost_run(tmp_path, episodes_of, config):
    """A run that has learned, and has forgotten again."""
    folder = RunFolder.create(tmp_path, config, datetime(2026, 1, 2))
    sampler = Judged(episodes_of, config.make_task(), lost_again)
    return folder, Trainer(config, sampler).run(folder)


def test_a_policy_that_is_lost_again_is_handed_out(lost_run):
    """The lucky one has the same evaluation as the good one and loses on fresh episodes."""
    folder, summary = lost_run
    rows = [row for row in folder.metrics() if "evaluation" in row]
    evaluated = {row["iteration"]: row["evaluation"] for row in rows}
    assert evaluated[2]["success_rate"] == evaluated[4]["success_rate"] == 1.0
    assert rows[-1]["best_iteration"] in (2, 4)
    last = summary["iterations"]
    assert (summary["best"]["iteration"], summary["last"]["iteration"]) == (4, last)
    assert summary["success_rate"] == summary["best"]["success_rate"] == 1.0
    assert summary["last"]["success_rate"] == 0.0 and summary["policy"] == "best"
    assert summary["evaluation_s"] > sum(e["robot_s"] for e in evaluated.values())
    assert summary["robot_hours"] == folder.metrics()[-1]["robot_hours"]


def test_best_and_last_are_kept_and_can_be_chosen(lost_run):
    folder, summary = lost_run
    for chosen, name, iteration in (
        ("", "best", 4), ("best", "best", 4), ("last", "last", summary["iterations"]),
    ):  # fmt: skip
        named = checkpoint.load(folder.path, chosen).named()
        assert (named["policy"], named["iteration"]) == (name, iteration)
    path = folder.newest_checkpoint().manifest_path
    assert checkpoint.load(path).manifest["iteration"] == summary["iterations"]
    with pytest.raises(UnknownName, match="best, last"):
        checkpoint.load(folder.path, "first")
    with pytest.raises(BadConfig, match="leave --policy"):
        checkpoint.load(path, "best")


def test_a_run_from_before_the_best_was_kept_gives_its_last(lost_run):
    folder, summary = lost_run
    for name in ("best", "candidates"):
        shutil.rmtree(folder.path / name)
    assert checkpoint.load(folder.path).manifest["iteration"] == summary["iterations"]
    with pytest.raises(BadRun, match="--policy last"):
        checkpoint.load(folder.path, "best")


def test_a_run_that_goes_on_gives_the_best_so_far(lost_run):
    folder, _ = lost_run
    shutil.rmtree(folder.best)
    named = checkpoint.load(folder.path).named()
    assert named["policy"] == "best so far" and named["iteration"] in (2, 4)


def test_a_resumed_run_goes_on_from_the_last_policy(lost_run, episodes_of, config):
    folder, summary = lost_run
    sampler = Judged(episodes_of, config.make_task(), lost_again)
    longer = replace(config, max_hours=0.04)
    resumed = Trainer(longer, sampler).run(folder, resume=True)
    iterations = [row["iteration"] for row in folder.metrics()]
    assert iterations == list(range(resumed["iterations"] + 1))
    assert sampler.asked[0][0] == 3 * summary["iterations"]
    assert resumed["best"]["iteration"] == 4 and resumed["iterations"] > summary["iterations"]


def test_only_the_newest_checkpoints_and_the_best_candidates_stay(tmp_path, episodes_of, config):
    folder, _, rows = train(tmp_path, episodes_of, config)
    kept = sorted(path.name for path in folder.checkpoints.iterdir())
    newest = [row["iteration"] for row in rows[-checkpoint.KEEP :]]
    assert kept == sorted(f"{i:06d}{s}" for i in newest for s in (".json", ".safetensors"))
    assert len(checkpoint.manifests(folder.candidates)) == checkpoint.KEEP
    assert len(list(folder.best.iterdir())) == 2


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
        again = RunFolder(folder.path)
        sampler = Sampler(episodes_of, make_task("valve"))
        Trainer(again.config(), sampler).run(again, resume=True)
    assert {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()} == before


def test_a_run_that_has_not_ended_says_how_to_go_on(tmp_path, config):
    folder = RunFolder.create(tmp_path, config, datetime(2026, 1, 2))
    with pytest.raises(BadRun, match="--resume"):
        folder.summary()
    with pytest.raises(BadRun, match="no run folder"):
        RunFolder(tmp_path / "nowhere").config()


def test_a_checkpoint_of_another_layout_is_refused(tmp_path, episodes_of, config):
    folder, _, _ = train(tmp_path, episodes_of, config)
    path = checkpoint.load(folder.path).manifest_path
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
        (
            {"algorithm": "x"},
            UnknownName,
            "unknown algorithm 'x'; there is: bc, dapg, local_models, mpc, npg, ppo, "
            "residual, rlpd",
        ),
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
def test_an_evaluation_ends_when_it_cannot_be_good_any_more(episodes_of, failing, watched):
    """Up to 3 of 30 episodes may fail; they run in batches of 4, 8 and 16."""
    config = RunConfig(settings=SMALL, max_hours=0.001)
    sampler = Sampler(episodes_of, config.make_task())
    trainer = Trainer(config, sampler)
    give = sampler.sample

    def sample(policy, plan):
        successes = [number - 1_000_000 not in failing for number in plan.numbers]
        return [
            replace(e, outcome=Outcome(good, True))
            for e, good in zip(give(policy, plan), successes, strict=True)
        ]

    sampler.sample = sample
    verdict = trainer.evaluate()
    assert verdict["episodes"] == watched
    good = trainer.progress.success.length == 1
    assert good == (len(failing) <= 3)


@pytest.mark.parametrize(("good", "count"), [(0, 4), (1, 4), (27, 30), (30, 30), (95, 100)])
def test_the_interval_is_where_the_rate_is_two_standard_deviations_away(good, count):
    """Wilson's definition: |rate - p| = z sqrt(p (1 - p) / n) at both ends, z of 95 %."""
    low, high = evaluation.wilson_interval(good, count)
    rate = good / count
    assert 0.0 <= low <= rate <= high <= 1.0
    for end, extreme in ((low, 0.0), (high, 1.0)):
        if end != extreme:
            away = 1.959964 * np.sqrt(end * (1 - end) / count)
            assert abs(rate - end) == pytest.approx(away)
    assert evaluation.rate_text({"success_rate": rate}) == f"{rate:.0%}"


def test_rates_come_with_their_interval(lost_run):
    _, summary = lost_run
    for verdict in (summary, summary["best"], summary["last"], summary["initial"]):
        for name in ("success_rate", "strict_success_rate"):
            assert verdict[f"{name}_low"] <= verdict[name] <= verdict[f"{name}_high"]
        assert verdict["interval"] == "Wilson, 95 %"
    assert evaluation.rate_text(summary) == "100% [51%, 100%]"


def test_an_evaluation_without_episodes_is_rejected():
    with pytest.raises(BadConfig, match="at least 1 episode"):
        evaluation.summarize([])
