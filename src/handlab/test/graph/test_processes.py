"""Whatever becomes of the process that started a graph, its nodes do not outlive it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from handlab.graph import processes
from handlab.graph.config import GraphConfig, NodeSpec
from handlab.graph.processes import BackgroundGraph, Graph, NodeProcess, command
from handlab.graph.ros_domain import Domain
from handlab_core.system.lifeline import VARIABLE, supervised
from handlab_hardware.station_file import station_path

NODE = """
import os, signal, sys, time
from handlab_core.system.lifeline import end_with_supervisors
{before}
end_with_supervisors()
print("ready", flush=True)
time.sleep(60)
"""

SUPERVISOR = """
import os, subprocess, sys, time
from handlab_core.system.lifeline import supervised
node = subprocess.Popen([sys.executable, "-c", {node!r}], env=supervised(os.environ),
                        stdout=subprocess.PIPE, start_new_session=True)
print(node.pid, node.stdout.readline().decode(), flush=True)
time.sleep(60)
"""

HARD_OF_HEARING = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def wait_for(done, what, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("before", ["", HARD_OF_HEARING], ids=["node", "node that ignores SIGTERM"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_process_ends_soon_after_its_supervisors_death(number, before):
    text = SUPERVISOR.format(node=NODE.format(before=before))
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True) as above:
        node = psutil.Process(int(above.stdout.readline().split()[0]))
        above.send_signal(number)
        wait_for(lambda: gone(node), "the node to end", 20.0)  # it would sleep for a minute


def test_a_process_whose_supervisor_died_before_it_started_ends_at_once():
    dead = subprocess.Popen(["true"])
    dead.wait()
    done = subprocess.run(
        [sys.executable, "-c", NODE.format(before="")],
        env={**supervised({}), VARIABLE: str(dead.pid)}, capture_output=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == -signal.SIGTERM and b"ready" not in done.stdout


def test_a_process_without_a_supervisor_goes_on():
    with subprocess.Popen(
        [sys.executable, "-c", NODE.format(before="")], env={}, stdout=subprocess.PIPE
    ) as node:
        assert node.stdout.readline() == b"ready\n"
        time.sleep(0.3)
        assert node.poll() is None
        node.kill()


def test_supervisors_of_supervisors_are_watched_too():
    assert supervised({VARIABLE: "12"})[VARIABLE].startswith("12,")


def talk(monkeypatch, code):
    monkeypatch.setattr("handlab.graph.processes.command", lambda _: [sys.executable, "-c", code])
    return NodeProcess(NodeSpec("driver"), {}, ())


def test_a_node_is_never_kept_waiting_by_who_reads_what_it_says(monkeypatch):
    """A pipe would be full after 64 KiB."""
    node = talk(monkeypatch, "for i in range(100_000): print('servo', i)")
    assert node.wait(time.monotonic() + 30) and node.poll() == 0  # nobody has read a line
    assert node.new_lines()[-1] == "servo 99999"
    node.close()


def test_what_a_node_says_for_days_takes_no_memory_and_no_line_is_lost(monkeypatch):
    monkeypatch.setattr("handlab.graph.processes.FORGET_ABOVE", 1000)
    code = "import time\nfor i in range(300): print('line', i, flush=True); time.sleep(0.002)"
    node, lines = talk(monkeypatch, code), []
    while node.poll() is None:
        lines += node.new_lines()
        time.sleep(0.01)
    lines += node.new_lines()
    assert lines == [f"line {i}" for i in range(300)]
    node.close()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; print('no such port', file=sys.stderr); sys.exit(2)", "driver: no such port"),
        ("print('one'); raise SystemExit(3)", "driver ended with code 3; everything was stopped. "
         "Its last lines:\n  one"),
        ("import os; os.kill(os.getpid(), 9)", "driver was killed by SIGKILL; everything was "
         "stopped. Its last lines:\n  (it said nothing)"),
    ],
)  # fmt: skip
def test_the_user_learns_which_node_ended_and_why(monkeypatch, tmp_path, code, reason):
    monkeypatch.setattr("handlab.graph.processes.command", lambda _: [sys.executable, "-c", code])
    with (tmp_path / "log").open("w") as log, Graph([NodeSpec("driver")], log, Domain()) as graph:
        assert graph.wait() == reason


DEAF = f"import signal, time; {HARD_OF_HEARING}; time.sleep(60)"


def test_a_ctrl_c_while_a_graph_is_made_leaves_no_node_behind(monkeypatch, tmp_path):
    def interrupted(_):
        raise KeyboardInterrupt

    started, make = [], processes.NodeProcess
    monkeypatch.setattr(processes, "command", lambda _: [sys.executable, "-c", DEAF])
    monkeypatch.setattr(processes.threading.Thread, "start", interrupted)
    monkeypatch.setattr(
        processes, "NodeProcess", lambda *words: started.append(make(*words)) or started[-1]
    )
    with (tmp_path / "log").open("w") as log, pytest.raises(KeyboardInterrupt):
        Graph([NodeSpec("driver")], log, Domain())
    [node] = started
    assert not psutil.pid_exists(node.pid)


LEFT_OPEN = """
import sys
from handlab.graph import processes
from handlab.graph.config import NodeSpec
from handlab.graph.ros_domain import Domain
processes.command = lambda _: [sys.executable, "-c", {node!r}]
graph = processes.Graph([NodeSpec("driver")], sys.stderr, Domain())
print(graph._processes[0].pid, flush=True)
raise KeyboardInterrupt
"""


def test_a_program_that_is_interrupted_before_it_enters_its_graph_ends_the_nodes_first():
    code = LEFT_OPEN.format(node=DEAF)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as program:
        node = psutil.Process(int(program.stdout.readline()))
        program.wait(20)
        assert gone(node)


def test_a_graph_keeps_its_domain_until_the_last_node_is_gone(monkeypatch, tmp_path):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    monkeypatch.setattr(
        "handlab.graph.processes.command",
        lambda _: [sys.executable, "-c", "import time; time.sleep(60)"],
    )
    with (tmp_path / "log").open("w") as log:
        domain = Domain()
        graph = Graph([NodeSpec("driver")], log, domain)
        domain.release()  # as the death of this process would
        other = Domain()
        assert other.id != graph.domain
        graph.close()
        again = Domain()
        assert again.id == graph.domain
        other.release(), again.release()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nodes_end_in_order_at_each_signal_even_at_a_second_one(tmp_path, number):
    """Without an order the interpreter's end and a second signal abort them."""
    config = GraphConfig(runner=False, learner=False)
    with BackgroundGraph(config, tmp_path / "nodes.log") as graph:
        nodes = {p.name: p._process for p in graph._processes}
        said = tmp_path / "nodes.log"
        wait_for(lambda: len(ready(nodes)) == len(nodes), "the nodes", 60)
        struck = list(nodes.values())
        for process in struck:
            process.send_signal(number)
        time.sleep(0.1)
        for process in struck:
            process.send_signal(number)
        graph.wait()
        assert [process.returncode for process in struck] == [0] * len(struck), said.read_text()


def ready(nodes):
    """Nodes whose event loop handles the signals."""

    def handled(pid):
        mask = Path(f"/proc/{pid}/status").read_text().split("SigCgt:")[1].split()[0]
        return int(mask, 16) >> (signal.SIGHUP - 1) & 1

    return [name for name, process in nodes.items() if handled(process.pid)]


def test_a_command_line_survives_every_value():
    words = command(NodeSpec("driver", {"port": "", "rate": 1.0, "groups": ["hand"]}))
    assert words[-6:] == ["-p", "port:=''", "-p", "rate:=1.0", "-p", "groups:=[hand]"]


def test_ctrl_c_stops_everything_within_two_seconds(tmp_path, cli):
    """A machine that starts nodes slowly ends them slowly, too."""
    began = time.monotonic()
    process = cli("up", "valve", cwd=tmp_path, start_new_session=True)
    me = psutil.Process(process.pid)
    wait_for(
        lambda: sum("handlab_nodes" in " ".join(p.cmdline()) for p in children(me)) >= 6, "nodes"
    )
    nodes = children(me)
    wait_for(lambda: len(ready({p.pid: p for p in nodes})) == len(nodes), "their signal handlers")
    pressed = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert time.monotonic() - pressed < max(2.0, pressed - began)
    assert not [p for p in nodes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_ctrl_c_while_the_nodes_are_started_leaves_none_behind(tmp_path, cli):
    process = cli("up", "valve", cwd=tmp_path, start_new_session=True)
    me = psutil.Process(process.pid)
    wait_for(lambda: children(me), "the first node")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)  # ends when nobody holds its output any more
    assert process.returncode == 0 and "Traceback" not in said


def children(process):
    found = []
    for child in process.children(recursive=True):
        try:
            child.cmdline()
            found.append(child)
        except psutil.Error:
            continue
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["up", "valve", "--port", "/dev/no-such-port"], "driver: there is no /dev/no-such-port"),
        (["record", "valve", "--station", "flip.yaml"], "driver: flip.yaml is for claw and flip"),
    ],
    ids=["missing port", "station of another object"],
)
def test_a_graph_that_cannot_start_ends_by_itself_with_one_line(tmp_path, words, message, cli):
    text = station_path("claw").read_text().replace("valve", "flip")
    (tmp_path / "flip.yaml").write_text(text)
    process = cli(*words, "--hardware", "dynamixel", cwd=tmp_path)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in said
    assert said.splitlines()[-1].startswith(f"handlab: {message}")
