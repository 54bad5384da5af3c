"""An option is declared once: a new field reaches every place that users set options at."""

import ast
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
import rclpy
import typer
import yaml
from pydantic import Field
from rclpy.context import Context
from rclpy.parameter import Parameter
from typer.testing import CliRunner

from handlab.cli.fields import with_options
from handlab.graph.config import GraphConfig
from handlab.graph.launch_arguments import launch_arguments
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.options import StationOptions, part
from handlab_core.system.paths import share
from handlab_core.system.validation import OneOf, Positive, Text, checked, field_schemas
from handlab_learning.runs.config import RunConfig
from handlab_nodes.runtime.parameters import read_params

SOURCES = sorted((share() / "src").glob("*/handlab*/**/*.py"))


@checked
class NewOptions(StationOptions):
    """The options of a station, with two new ones."""

    grip: Annotated[Positive, Field(le=5, description="N; grip force")] = 2.0
    mode: Annotated[Text, OneOf("mode", ("soft", "hard")), Field(description="Mode")] = "soft"


@pytest.fixture
def node():
    context = Context()
    rclpy.init(context=context, domain_id=99)
    given = [Parameter("grip", value=3.0)]
    node = rclpy.create_node("asked", context=context, parameter_overrides=given)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_a_new_field_is_an_option_of_the_command_line():
    got = []

    def verb(station: NewOptions):
        got.append(station)

    app = typer.Typer(rich_markup_mode=None)
    app.command()(with_options(verb))
    run = CliRunner().invoke
    assert run(app, ["--grip", "3", "--mode", "hard"]).exit_code == 0
    assert got == [NewOptions(grip=3.0, mode="hard")]
    said = " ".join(run(app, ["--help"]).output.split())
    assert "N; grip force" in said and "Mode: hard, soft" in said and "--estimator" in said
    refused = run(app, ["--grip", "7"])
    assert refused.exit_code == 2 and "less than or equal to 5" in refused.output
    assert isinstance(run(app, ["--mode", "mild"]).exception, UnknownName)


def test_a_new_field_is_a_launch_argument():
    arguments = {a.name: a for a in launch_arguments(NewOptions, {"mode": "hard"}, {})}
    grip, mode = arguments["grip"], arguments["mode"]
    assert (grip.default, grip.choices, grip.description) == ("2", (), "N; grip force.")
    assert (mode.default, mode.choices) == ("hard", ("hard", "soft"))
    assert (grip.read("3"), mode.read("soft")) == (3.0, "soft")
    for text in ("7", "nan", "firm", ""):
        with pytest.raises(BadConfig, match="the argument grip"):
            grip.read(text)


def test_a_new_field_is_a_parameter_of_nodes(node):
    assert read_params(node, NewOptions()) == NewOptions(grip=3.0)
    described = node.describe_parameter("grip")
    assert described.description == "N; grip force" and described.read_only
    assert described.floating_point_range[0].to_value == 5.0


def test_a_new_field_is_in_the_settings_of_a_run():
    @checked
    class NewRun(NewOptions, RunConfig):
        """A run with the new options."""

    written = yaml.safe_load(yaml.safe_dump(NewRun(grip=3.0).resolved()))
    del written["resolved"]
    assert written["grip"] == 3.0 and NewRun(**written) == NewRun(grip=3.0)


def test_every_option_of_a_station_is_one_of_runs_and_graphs():
    names = set(field_schemas(StationOptions))
    assert names <= set(field_schemas(RunConfig)) & set(field_schemas(GraphConfig))
    graph = replace(GraphConfig(), estimator="camera")
    assert part(graph, StationOptions)["estimator"] == "camera"


@pytest.mark.parametrize("kind", [RunConfig, GraphConfig])
def test_every_option_is_described(kind):
    assert all(schema.get("description") for schema in field_schemas(kind).values())


@pytest.mark.parametrize(
    "name",
    ["estimator", "pace", "hardware", "station", "rate", "reward", "compose", "viewer",
     "bag", "replay", "max_hours", "algorithm", "until", "speed", "noise", "failures"],
)  # fmt: skip
def test_an_option_is_declared_once(name):
    found = [f"{path.relative_to(share())}:{line}" for path in SOURCES for line in uses(path, name)]
    assert len(found) == 1, found


def uses(path: Path, name: str):
    """Lines at which an option is declared: a field with metadata, or a literal declaration."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == name:
            text = ast.unparse(node.annotation)
            if "description=" in text or "option(" in text:
                yield node.lineno
        launch = isinstance(node, ast.Call) and getattr(node.func, "id", "")
        if launch == "DeclareLaunchArgument" and ast.unparse(node.args[0]) == repr(name):
            yield node.lineno
        if isinstance(node, ast.arg) and node.arg == name and node.annotation is not None:
            text = ast.unparse(node.annotation)
            if " option(" in text or "path_option(" in text:
                yield node.lineno
