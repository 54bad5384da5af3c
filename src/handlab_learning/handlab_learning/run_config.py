"""What a run was asked to do. Written into its folder; `--resume` goes on with exactly this."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, get_type_hints

import yaml

from handlab_core.backend import BACKENDS as HARDWARE
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.estimation.follower import ENCODER, check_estimator
from handlab_core.suite import AnyTask, SuiteTask, find_task
from handlab_core.variation import of_object, parse_variations, vary_task
from handlab_learning.algorithms import ALGORITHMS
from handlab_learning.algorithms.algorithm import known_algorithm

BACKENDS = ("graph", "sim")
"""Where episodes come from: the nodes, or a simulation in this process."""


@dataclass(frozen=True)
class RunConfig:
    """One training run."""

    task: str = "valve"
    reward: str = ""
    """Reward variant; empty is the task's own."""
    algorithm: str = "npg"
    backend: str = "graph"
    estimator: str = ENCODER
    """What follows the object: `encoder` or `camera`."""
    seed: int = 0
    max_hours: float = 6.0
    """Robot-hours, resets counted; the run ends there at the latest."""
    hardware: str = "mujoco"
    """What moves the hand, a name in `handlab_core.backend`; anything else needs the graph."""
    station: str = ""
    """Path of the station file; empty: the one that comes with handlab."""
    port: str = ""
    """In the place of the station file's; empty: that one."""
    evaluate_every: int = 5
    """Iterations."""
    evaluation_episodes: int = 30
    success_rate: float = 0.9
    """An evaluation at or above it counts as a good one."""
    streak: int = 3
    """Good evaluations in a row until the task counts as learned, from the first of them on."""
    until: str = "strict"
    """What ends the run before `max_hours`: `success`, the task counts as learned; `strict`, by the
    strict criterion too; `hours`, nothing."""
    vary: list[str] = field(default_factory=list)
    """What is drawn anew for every episode, also of evaluations; see `handlab_core.variation`."""
    demos: str = ""
    """What to learn from: a recorded bag, or for the suite the name of a Minari dataset."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the algorithm, where they differ from its defaults; nested names with dots."""

    def __post_init__(self) -> None:
        """Check names and values."""
        task = self.make_task()
        known_algorithm(self.algorithm)
        check_estimator(self.estimator)
        for name, allowed in (
            ("backend", BACKENDS),
            ("hardware", HARDWARE),
            ("until", ("success", "strict", "hours")),
        ):
            if getattr(self, name) not in allowed:
                raise UnknownName(name, getattr(self, name), allowed)
        if self.hardware != "mujoco" and self.backend != "graph":
            raise BadConfig(f"hardware {self.hardware} is moved by the graph: add --backend graph")
        if self.max_hours <= 0 or self.evaluate_every < 1 or self.evaluation_episodes < 1:
            raise BadConfig("max_hours, evaluate_every and evaluation_episodes must be positive")
        if self.vary and self.backend != "sim":
            raise BadConfig("what varies is simulated in this process: add --backend sim")
        variations = parse_variations(self.vary)
        if isinstance(task, SuiteTask):
            self._check_suite(len(of_object(variations)) == len(variations))
        else:
            vary_task(task, variations)
        needs = ALGORITHMS[self.algorithm].demonstrations
        if needs and not self.demos:
            raise BadConfig(f"{self.algorithm} learns from demonstrations: name some with --demos")
        if self.demos and not needs:
            raise BadConfig(f"{self.algorithm} learns without demonstrations: leave --demos")
        self.algorithm_config()

    def _check_suite(self, only_objects: bool) -> None:
        if self.backend != "sim" or self.estimator != ENCODER:
            raise BadConfig(
                f"{self.task} has no graph and no camera: add --backend sim, leave --estimator"
            )
        if not only_objects:
            raise BadConfig(f"of {self.task} only the object varies: object.mass and its kin")

    def make_task(self) -> AnyTask:
        """The task with the chosen reward."""
        task = find_task(self.task)
        return task.with_reward(self.reward or task.reward)

    def algorithm_config(self) -> Any:
        """The algorithm's configuration with this run's settings."""
        config, task = ALGORITHMS[self.algorithm].config(), find_task(self.task)
        own = task.settings.get(self.algorithm, {}) if isinstance(task, SuiteTask) else {}
        for name, value in {**own, **self.settings}.items():
            config = with_setting(config, name, value)
        return config

    def resolved(self) -> dict[str, Any]:
        """Everything, with every setting of the algorithm, as plain data."""
        everything: dict[str, Any] = _plain(
            {**asdict(self), "resolved": asdict(self.algorithm_config())}
        )
        return everything


def with_setting(config: Any, name: str, value: Any) -> Any:
    """A copy of a configuration with one field replaced; `a.b` names a field of a field.

    Raises:
        UnknownName: there is no such field; the message lists what there is.
        BadConfig: the value is of another type, or the name stops at a group or goes past a value.
    """
    first, _, rest = name.partition(".")
    known = [f.name for f in fields(config)]
    if first not in known:
        raise UnknownName(f"setting of {type(config).__name__}", first, known)
    old = getattr(config, first)
    if rest and not is_dataclass(old):
        raise BadConfig(f"{first} is one setting, not a group; there is no {name}")
    if rest:
        return replace(config, **{first: with_setting(old, rest, value)})
    wanted = get_type_hints(type(config))[first]
    if is_dataclass(old):
        raise BadConfig(f"{name} is a group of settings; name one of its fields: {name}.<field>")
    if isinstance(old, tuple) and isinstance(value, list | tuple):
        value = tuple(value)
    elif isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    elif type(value) is not type(old):
        raise BadConfig(f"{name} must be {wanted}, not {value!r}")
    return replace(config, **{first: value})


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` pairs, values as in YAML.

    Raises:
        BadConfig: a pair has no `=`.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadConfig(f"a setting is name=value, not {pair!r}")
        settings[name] = _number(value) if _is_number(value) else yaml.safe_load(value)
    return settings


def _is_number(text: str) -> bool:
    """YAML takes 1e-3 for text; people do not."""
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text.strip()) is not None


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"\s*[+-]?\d+\s*", text) else float(text)


def _plain(value: Any) -> Any:
    """Tuples as lists, so that YAML and JSON read back what they write."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
