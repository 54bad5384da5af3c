"""Train, in a graph or in this process, and report."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from handlab.experiments.demonstrations import demonstrations_of
from handlab.experiments.task_kinds import Simulation, kind_of
from handlab.graph.client import GraphClient
from handlab.graph.config import GraphConfig, on_machine
from handlab.graph.processes import BackgroundGraph
from handlab.operation.stop_key import SimulatedHands, StopKey
from handlab.reporting.earlier_runs import RobotTimeMeter
from handlab.reporting.progress import TrainingDisplay
from handlab_core.demonstrations.intervening_teacher import InterveningTeacher
from handlab_core.environment.intervention import PERSON, TEACHER
from handlab_core.hands import make_hand
from handlab_core.hands.servo import ServoParameters
from handlab_core.hardware.backend_table import backend_spec
from handlab_core.tasks import make_task
from handlab_core.worlds.fitted import fitted_path, read_fit, servos_of_fit
from handlab_core.worlds.levels import FITTED
from handlab_data.bag_folder import check_bag_folder
from handlab_learning.algorithms import ALGORITHMS
from handlab_learning.policy_files.base_policy import base_of, read_base
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.sampler import LocalSampler
from handlab_learning.runs.trainer import Trainer

RUNS = Path("runs")
"""Default place of run folders, below the working directory."""

NODE_LOG = "nodes.log"
"""File name in a run's folder: output of the nodes."""


def new_run(config: RunConfig, root: Path = RUNS) -> RunFolder:
    """Make the folder of a new run.

    Raises:
        HandlabError: its demonstrations, its base policy or its station file cannot be used; no
            folder is made.
    """
    if config.backend == "graph":
        graph_of(config)
    fitted_servos(config)
    demonstrations_of(config)  # here, so that messages about unused ones reach the terminal
    read_base(config)
    return RunFolder.create(root, config, datetime.now())


def graph_of(config: RunConfig) -> GraphConfig:
    """Return the graph that a run needs, without recorder and viewer."""
    pace = backend_spec(config.hardware).learning_pace
    graph = GraphConfig(
        config.task,
        reward=config.reward,
        estimator=config.estimator,
        pace="real" if config.interventions == PERSON else pace,  # a person lives in real time
    )
    return on_machine(graph, config.hardware, config.station, config.port)


def fitted_servos(config: RunConfig) -> ServoParameters | None:
    """Return the servos that a run is simulated with; None: those of the hand's description.

    Raises:
        BadConfig: the file of `identify` is missing, damaged or of another hand.
    """
    if config.randomise != FITTED:
        return None
    hand = make_hand(config.make_task().hand_name)
    path = Path(config.fitted) if config.fitted else fitted_path(config.station or hand.name)
    return servos_of_fit(read_fit(path), hand)


def train(
    folder: RunFolder,
    resume: bool,
    num_envs: int = 20,
    threads: int = 2,
    viewer: bool = False,
    compose: bool = False,
) -> dict[str, Any]:
    """Carry out a run and return its summary.

    Args:
        folder: of the run.
        resume: go on from its newest checkpoint.
        num_envs: robots simulated side by side (backend `sim` only).
        threads: to simulate them on (backend `sim` only).
        viewer: serve the browser viewer (backend `graph` only).
        compose: run the nodes of every step in one process (backend `graph` only).
    """
    config = folder.config()
    if resume:  # these raise before anything starts
        with folder.locked():  # by this process for a moment; the learner locks it for the run
            pass
        if not folder.is_new():
            folder.newest_checkpoint()
    with TrainingDisplay(config, RobotTimeMeter(folder)) as display:
        if config.backend == "sim":
            varied, demonstrations = config.variations(), demonstrations_of(config)
            servos = fitted_servos(config)
            task = config.make_task()
            simulation = Simulation(
                num_envs,
                threads,
                config.estimator,
                config.hardware,
                servos,
                fresh=ALGORITHMS[config.algorithm].simulation_only,
                workers=config.workers,
            )
            sampler, first = (kind_of(task).sampler(task, simulation, varied) for _ in range(2))
            if config.interventions == TEACHER:
                assert isinstance(sampler, LocalSampler)
                sampler.intervener = InterveningTeacher(make_task(config.task))
            trainer = Trainer(
                config,
                sampler,
                display.update,
                demonstrations=demonstrations,
                base=base_of(config, folder),
                first_sampler=first if num_envs > 1 else None,  # one world stands for one robot
            )
            with StopKey(SimulatedHands()) as display.stop_key:
                return trainer.run(folder, resume)
        check_bag_folder(folder.bag)
        graph = replace(graph_of(config), bag=str(folder.bag), viewer=viewer, compose=compose)
        with BackgroundGraph(graph, folder.path / NODE_LOG) as nodes, GraphClient(nodes) as client:
            display.stop_key = client.stop_key
            return client.train(folder, resume, display.update)
