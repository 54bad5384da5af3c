"""The Adroit suite (arXiv:1709.10087): tasks of a simulated hand in somebody else's environments.

| part        | what                                                                              |
|-------------|-----------------------------------------------------------------------------------|
| hand        | Shadow hand of 24 joints on an arm of 0 to 6, position targets in [-1, 1], 100 Hz |
| observation | joints, object and goal, as the environment gives them                            |
| reward      | `published`: as in mj_envs; `gymnasium`: as in gymnasium-robotics                 |
| success     | more successful steps than `Held.steps`; a step's rule is the environment's own   |
| end         | never before the time is over                                                     |

They run in `handlab_sim.adroit.environment`. They have no station, no graph of
nodes and no motors that reset them: a reset places everything and takes no robot time, as in the
paper.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from handlab_core.errors import UnknownName
from handlab_core.registry import Registry
from handlab_core.tasks import TASKS
from handlab_core.tasks.learnable import LearnableTask
from handlab_core.tasks.sizes import Spaces

REWARDS = ("published", "gymnasium")
"""gymnasium-robotics before 1.4.3 rewards a palm that is far from the object in door, hammer and
relocate, where mj_envs/hand_manipulation_suite/*_v0.py takes the distance off."""

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
"""hand_dapg/dapg/examples/*.txt, where a step size is twice a KL. There no step is taken back and
the Fisher matrix is that of all 40000 steps; that of a quarter of them costs a quarter."""

CLONING = {
    "cloning.epochs": 5,
    "cloning.units": True,
    "cloning.noise": 1.0,
    "cloning.jitter": 0.0,
}
"""hand_dapg/dapg/examples/*.txt and job_script.py."""

PAPER = {"max_advantage": True}
"""arXiv:1709.10087, section V."""

DOOR = {"cloning.epochs": 40, "cloning.jitter": 0.3, "cloning.noise": 0.3}
"""Ours: cloned as published, the hand stops before the handle and the door is never opened."""

DOOR_WEIGHT = {"lambda0": 0.01, "max_advantage": False}
"""hand_dapg/dapg/examples/dapg.txt; with the paper's the policy gets better more slowly."""


def _settings(
    cloning: Mapping[str, Any] = CLONING, weight: Mapping[str, Any] = PAPER
) -> dict[str, Mapping[str, Any]]:
    """Of each algorithm, what is not its default."""
    own = {f"npg.{name}": value for name, value in NPG.items()}
    return {
        "npg": NPG,
        "bc": {"hidden": NPG["hidden"]} | dict(cloning),
        "dapg": own | dict(cloning) | dict(weight) | {"watched": 0},
    }


@dataclass(frozen=True)
class Held:
    """The goal was held for more than so many steps of the episode, in a row or not."""

    steps: int

    def __str__(self) -> str:
        return f"more than {self.steps} steps at the goal"

    def met(self, reached: int) -> bool:
        """Whether an episode with so many successful steps was a success."""
        return reached > self.steps


@dataclass(frozen=True)
class SuiteTask:
    """One task of the suite."""

    name: str
    description: str
    environment: str
    """Of gymnasium-robotics."""
    observation_size: int
    action_size: int
    success: Held
    """mj_envs, `evaluate_success`."""
    steps: int = 200
    period: float = 0.01
    """s, one action each."""
    reward: str = "published"
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=_settings)
    """Of each algorithm, where they are not its defaults."""
    hand_name: str = "adroit"

    kind: ClassVar[str] = "adroit"
    has_graph: ClassVar[bool] = False
    only_object_varies: ClassVar[bool] = True
    thermometers: ClassVar[tuple[str, ...]] = ()
    reward_terms: ClassVar[tuple[str, ...]] = ()

    @property
    def strict(self) -> Held:
        """The suite has one criterion only."""
        return self.success

    @property
    def rewards(self) -> tuple[str, ...]:
        """Variants."""
        return REWARDS

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """The observation, whose parts the environment does not name."""
        return ((self.environment, self.observation_size),)

    @property
    def spaces(self) -> Spaces:
        """The sizes that learning needs."""
        return Spaces(self.observation_size, self.action_size, self.steps)

    def with_reward(self, name: str) -> "SuiteTask":
        """The same task under another reward variant."""
        if name not in REWARDS:
            raise UnknownName(f"reward of {self.name}", name, REWARDS)
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
    """Build the task called `name`, of a robot of ours or of the suite.

    Raises:
        UnknownName: there is none; the message lists what there is.
    """
    if name in SUITE:
        return SUITE[name]()
    if name not in TASKS:
        raise UnknownName("task", name, [*TASKS, *SUITE])
    return TASKS[name]()
