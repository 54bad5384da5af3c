"""Configuration of a training run; a copy is written into the run's folder."""

from collections.abc import Sequence
from dataclasses import asdict, field, fields, is_dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from handlab_core.environment.intervention import NO_INTERVENER, PERSON
from handlab_core.errors import BadConfig, UnknownName, shown
from handlab_core.estimation.estimator_table import ENCODER
from handlab_core.hardware.backend_table import backend_spec
from handlab_core.system.files import parse_json, parse_yaml
from handlab_core.system.validation import Count, Fraction, Text, build, checked
from handlab_core.tasks.adroit import find_task
from handlab_core.tasks.learnable import LearnableTask
from handlab_core.tasks.variation import Variation, check_variations, parse_variations
from handlab_core.worlds.levels import NONE, with_level
from handlab_learning.algorithms import ALGORITHMS
from handlab_learning.algorithms.algorithm import Demonstrations, known_algorithm
from handlab_learning.runs.options import LOCAL, LearnedTask, RunOptions


@checked
class RunConfig(RunOptions, LearnedTask):
    """One training run."""

    evaluate_every: Annotated[
        Count, Field(description="Iterations; distance between evaluations")
    ] = 5
    evaluation_episodes: Annotated[Count, Field(description="Episodes of an evaluation")] = 30
    success_rate: Annotated[
        Fraction, Field(gt=0, description="Success rate from which an evaluation counts as good")
    ] = 0.9
    streak: Annotated[
        Count,
        Field(
            description="Good evaluations in a row until the task counts as learned, from the "
            "first of them on"
        ),
    ] = 3
    settings: Annotated[
        dict[Text, Any],
        Field(description="Settings of the algorithm that differ from its defaults; a.b is nested"),
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check names and combinations."""
        task = self.make_task()
        known_algorithm(self.algorithm)
        if not backend_spec(self.hardware).simulated and self.backend != "graph":
            raise BadConfig(f"hardware {self.hardware} is moved by the graph: add --backend graph")
        if ALGORITHMS[self.algorithm].simulation_only and self.backend != "sim":
            raise BadConfig(f"{self.algorithm} learns in simulations only: add --backend sim")
        if self.workers != LOCAL and (self.backend != "sim" or self.interventions != NO_INTERVENER):
            raise BadConfig(
                "a cluster runs simulated episodes without interventions: add --backend sim, leave "
                "--interventions"
            )
        if self.workers != LOCAL and not task.has_graph:
            raise BadConfig(f"{self.task} runs on all cores of one machine: leave --workers")
        if (self.vary or self.randomise != NONE) and self.backend != "sim":
            raise BadConfig("variations need a simulation in this process: add --backend sim")
        if not task.has_graph and (self.backend != "sim" or self.estimator != ENCODER):
            raise BadConfig(
                f"{self.task} has no graph and no camera: add --backend sim, leave --estimator"
            )
        check_variations(task, self.variations())
        use = ALGORITHMS[self.algorithm].demonstrations
        if use is Demonstrations.REQUIRED and not self.demos:
            raise BadConfig(f"{self.algorithm} learns from demonstrations: name some with --demos")
        if use is Demonstrations.NONE and self.demos:
            raise BadConfig(f"{self.algorithm} learns without demonstrations: leave --demos")
        self._check_base()
        self._check_interventions(task)
        self.algorithm_config()

    def _check_base(self) -> None:
        corrects = ALGORITHMS[self.algorithm].corrects
        if corrects and not self.base:
            raise BadConfig(
                f"{self.algorithm} corrects a base policy: name a run, a checkpoint or a gait with "
                "--base"
            )
        if self.base and not corrects:
            known = ", ".join(name for name, method in ALGORITHMS.items() if method.corrects)
            raise BadConfig(
                f"{self.algorithm} learns without a base policy: leave --base, or choose "
                f"--algorithm {known}"
            )

    def _check_interventions(self, task: LearnableTask) -> None:
        if self.interventions == NO_INTERVENER:
            return
        if not ALGORITHMS[self.algorithm].off_policy:
            known = ", ".join(name for name, method in ALGORITHMS.items() if method.off_policy)
            raise BadConfig(
                f"{self.algorithm} cannot learn from the actions of others: leave --interventions, "
                f"or choose --algorithm {known}"
            )
        if self.vary or self.randomise != NONE or not task.has_graph:
            raise BadConfig(
                "interventions need a hand of this project and the task's own object: leave "
                "--vary, --randomise and --interventions"
            )
        if self.interventions == PERSON and self.backend != "graph":
            raise BadConfig("a person intervenes through the graph: add --backend graph")

    def make_task(self) -> LearnableTask:
        """Build the task with the chosen reward."""
        task = find_task(self.task)
        return task.with_reward(self.reward or task.reward)

    def variations(self) -> tuple[Variation, ...]:
        """Return what every episode draws: the level's quantities, and those that are named."""
        return with_level(self.make_task(), self.randomise, parse_variations(self.vary))

    def algorithm_config(self) -> Any:
        """Build the configuration of the algorithm with this run's settings."""
        config, task = ALGORITHMS[self.algorithm].config(), find_task(self.task)
        own = task.settings.get(self.algorithm, {})
        for name, value in {**own, **self.settings}.items():
            config = with_setting(config, name, value)
        return config

    def as_data(self) -> dict[str, Any]:
        """Return all fields as plain data, as JSON and YAML hold it."""
        data: dict[str, Any] = _plain(asdict(self))
        return data

    def resolved(self) -> dict[str, Any]:
        """Return all fields, and every setting of the algorithm, as plain data."""
        settings: dict[str, Any] = _plain(asdict(self.algorithm_config()))
        return self.as_data() | {"resolved": settings}


def config_of(text: str, where: str) -> RunConfig:
    """Read a configuration from JSON, as `RunConfig.as_data` gives it.

    Raises:
        BadConfig: the text is not a configuration; `where` begins the message.
    """
    return build(RunConfig, parse_json(text, where, BadConfig), where)


def with_setting(config: Any, name: str, value: Any) -> Any:
    """Return a copy of a configuration with one field replaced; `a.b` names a nested field.

    Raises:
        UnknownName: there is no such field; the message lists the fields.
        BadConfig: the value has another type or is out of bounds, or the name ends at a group or
            continues after a value.
    """
    first, _, rest = name.partition(".")
    known = [f.name for f in fields(config)]
    if first not in known:
        raise UnknownName(f"setting of {type(config).__name__}", first, known)
    old = getattr(config, first)
    if rest and not is_dataclass(old):
        raise BadConfig(f"{first} is one setting, not a group; there is no {name}")
    if rest:
        try:
            value = with_setting(old, rest, value)
        except BadConfig as error:
            raise BadConfig(f"{first}.{error}") from None
    elif is_dataclass(old):
        raise BadConfig(f"{name} is a group of settings; name one of its fields: {name}.<field>")
    return replace(config, **{first: value})


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` pairs, values as in YAML.

    Raises:
        BadConfig: a pair has no `=`, a name comes twice, or a value is not YAML.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadConfig(f"a setting is name=value, not {shown(pair)}")
        if name in settings:
            raise BadConfig(f"the setting {shown(name)} comes twice; give it once")
        settings[name] = parse_yaml(value, f"the value of {shown(name)}")
    return settings


def _plain(value: Any) -> Any:
    """Convert tuples to lists, as YAML and JSON do."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
