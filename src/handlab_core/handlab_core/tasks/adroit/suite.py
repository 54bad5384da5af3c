"""The Adroit suite (arXiv:1709.10087): tasks of a simulated hand in gymnasium-robotics.

| part        | value                                                                             |
|-------------|-----------------------------------------------------------------------------------|
| hand        | Shadow hand of 24 joints on an arm of 0 to 6, position targets in [-1, 1], 100 Hz |
| observation | joints, object and goal, as the environment gives them                            |
| reward      | `published`: as in mj_envs; `gymnasium`: as in gymnasium-robotics                 |
| success     | more successful steps than `Held.steps`; a step's rule is the environment's own   |
| end         | never before the time is over                                                     |

They run in `handlab_sim.adroit.environment`. They have no station, no graph of nodes and no motors
that reset them: a reset places hand and object and takes no robot time, as in the paper.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from handlab_core.errors import UnknownName
from handlab_core.system.registry import Registry
from handlab_core.tasks import TASKS
from handlab_core.tasks.learnable import LearnableTask
from handlab_core.tasks.sizes import ObservedReward, Spaces, StateForm

REWARDS = ("published", "gymnasium")
"""Reward variants. In door, hammer and relocate gymnasium-robotics before 1.4.3 adds the distance
between palm and object, and mj_envs/hand_manipulation_suite/*_v0.py subtracts it."""

NPG = {
    "hidden": (32, 32),
    "kl": 0.025,
    "gamma": 0.995,
    "lam": 0.97,
    "episodes_per_iteration": 200,
    "max_kl_ratio": 10.0,
    "fisher_every": 4,
    "baseline.batch": 64,
    "baseline.epochs": 2,
    "baseline.memory": 1,
}
"""Settings of NPG; hand_dapg/dapg/examples/*.txt, where a step size is twice a KL. There no step is
reverted, and the Fisher matrix uses all 40000 steps; a quarter of them costs a quarter."""

CLONING = {
    "cloning.epochs": 5,
    "cloning.units": True,
    "cloning.noise": 1.0,
    "cloning.jitter": 0.0,
}
"""Settings of cloning; hand_dapg/dapg/examples/*.txt and job_script.py."""

PAPER = {"max_advantage": True}
"""Weight of the demonstrations; arXiv:1709.10087, section V."""

DOOR = {"cloning.epochs": 40, "cloning.jitter": 0.3, "cloning.noise": 0.3}
"""Own settings: with the published ones the cloned hand stops before the handle of the door."""

DOOR_WEIGHT = {"lambda0": 0.01, "max_advantage": False}
"""hand_dapg/dapg/examples/dapg.txt; with the weight of the paper the policy improves more
slowly."""


def _settings(
    cloning: Mapping[str, Any] = CLONING, weight: Mapping[str, Any] = PAPER
) -> dict[str, Mapping[str, Any]]:
    """Return the settings by algorithm that differ from the defaults."""
    own = {f"npg.{name}": value for name, value in NPG.items()}
    return {
        "npg": NPG,
        "rlpd": {"gamma": NPG["gamma"]},
        "bc": {"hidden": NPG["hidden"]} | dict(cloning),
        "dapg": own | dict(cloning) | dict(weight) | {"watched": 0},
    }


@dataclass(frozen=True)
class Held:
    """Require more than `steps` successful steps of the episode, in a row or not."""

    steps: int

    def __str__(self) -> str:
        return f"more than {self.steps} steps at the goal"

    def met(self, reached: int) -> bool:
        """Return whether an episode with this number of successful steps was a success."""
        return reached > self.steps


@dataclass(frozen=True)
class SuiteTask:
    """Task of the Adroit suite."""

    name: str
    description: str
    environment: str
    """Name of the environment in gymnasium-robotics."""
    observation_size: int
    action_size: int
    success: Held
    """Criterion of success; `evaluate_success` in mj_envs."""
    steps: int = 200
    period: float = 0.01
    """s; control period."""
    reward: str = "published"
    rewards: tuple[str, ...] = REWARDS
    """Names of the reward variants."""
    form: StateForm | None = None
    """See `Spaces.form`."""
    observed_reward: ObservedReward | None = field(default=None, compare=False)
    """See `Spaces.reward`; that of the published tasks is not a function of the observation."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=_settings)
    """Settings by algorithm that differ from the defaults."""
    randomisation: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """See `LearnableTask.randomisation`."""
    hand_name: str = "adroit"

    kind: ClassVar[str] = "adroit"
    has_graph: ClassVar[bool] = False
    only_object_varies: ClassVar[bool] = True
    thermometers: ClassVar[tuple[str, ...]] = ()
    reward_terms: ClassVar[tuple[str, ...]] = ()

    @property
    def strict(self) -> Held:
        """The same as `success`, the only criterion of the suite."""
        return self.success

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """Parts of the observation; the environment does not name them."""
        return ((self.environment, self.observation_size),)

    @property
    def spaces(self) -> Spaces:
        """Sizes of observation and action, and length of an episode."""
        return Spaces(
            self.observation_size,
            self.action_size,
            self.steps,
            form=self.form,
            reward=self.observed_reward,
        )

    def with_reward(self, name: str) -> "SuiteTask":
        """Return the same task under another reward variant."""
        if name not in self.rewards:
            raise UnknownName(f"reward of {self.name}", name, self.rewards)
        return replace(self, reward=name)


SUITE: Registry[SuiteTask] = Registry("task of the suite")


@SUITE.register
def adroit_door() -> SuiteTask:
    """Build the door: its hinge at 1.35 rad."""
    held = Held(25)
    return SuiteTask(
        "adroit_door", "turn the latch and pull the door open", "AdroitHandDoor", 39, 28, held,
        settings=_settings(CLONING | DOOR, DOOR_WEIGHT),
    )  # fmt: skip


@SUITE.register
def adroit_hammer() -> SuiteTask:
    """Build tool use: the nail within 10 mm of the board."""
    held = Held(25)
    return SuiteTask(
        "adroit_hammer", "take the hammer and drive the nail", "AdroitHandHammer", 46, 26, held
    )


@SUITE.register
def adroit_pen() -> SuiteTask:
    """Build in-hand turning: the pen within 75 mm and a cosine of 0.95."""
    held = Held(20)
    return SuiteTask(
        "adroit_pen", "turn the pen in the hand", "AdroitHandPen", 45, 24, held, steps=100
    )


@SUITE.register
def adroit_relocate() -> SuiteTask:
    """Build pickup: the ball within 0.1 m of the mark in the air."""
    held = Held(25)
    return SuiteTask(
        "adroit_relocate", "carry the ball to the mark", "AdroitHandRelocate", 39, 30, held
    )


def find_task(name: str) -> LearnableTask:
    """Build the task called `name`, of a station or of the suite.

    Raises:
        UnknownName: there is none; the message lists the tasks.
    """
    if name in SUITE:
        return SUITE[name]()
    if name not in TASKS:
        raise UnknownName("task", name, [*TASKS, *SUITE])
    return TASKS[name]()
