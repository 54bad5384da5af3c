"""`setup dynamixel`: the dialogue in which new servos get their ids, one at a time."""

import pytest
from typer.testing import CliRunner

from handlab.cli.program import make_app
from handlab.operation.setting_up import set_up
from handlab_core.errors import BadConfig, StationFault
from handlab_hardware.dynamixel.commissioning import FACTORY_BAUD, wanted_ids
from handlab_hardware.dynamixel.emulator import EmulatorConfig, Fault, emulate
from handlab_hardware.station_file import load_station

IDS = wanted_ids("claw", "valve")


class Box:
    """A box of new servos, which are plugged in one after another; the ids tell them apart."""

    def __init__(self, port, ids):
        self.port, self.waiting = port, list(ids)
        self.asked = []
        for id in ids:
            port.inject(Fault("dead", id=id))

    def plug_in(self, question):
        """Plug the next servo in, as the question asks; the others stay away."""
        self.asked.append(question.split(":")[0])
        self.waiting.pop(0)
        self.port.inject(Fault("clear"))
        for id in self.waiting:
            self.port.inject(Fault("dead", id=id))
        return ""


@pytest.fixture
def rig(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(ids, **config):
        port = emulate(EmulatorConfig(ids=tuple(ids), link=tmp_path / "port", **config)).start()
        made.append(port)
        return port

    made = []
    yield make
    for port in made:
        port.close()


def test_servos_get_their_ids_one_at_a_time_and_the_station_file_is_written(rig, tmp_path):
    joints = list(IDS)[:2]
    done = {id for joint, id in IDS.items() if joint not in joints}
    # The other eight have their ids, but all ten are still at the factory's speed.
    new = (1, 2)
    port = rig((*new, *sorted(done)), baud=1_000_000)
    for servo in port.bus.servos[:2]:
        servo.table.put("baud_rate", 1)  # 57600 baud
        servo._remember()
    box = Box(port, new)
    set_up(port.name, "claw", "valve", tmp_path / "my.yaml", ask=box.plug_in)
    assert box.asked == joints
    section = load_station(tmp_path / "my.yaml").dynamixel
    assert {servo.joint: servo.id for servo in section.servos} == IDS
    assert {servo.id for servo in port.bus.servos} == set(IDS.values())
    assert section.port == port.name


def test_two_new_servos_at_once_are_refused_until_one_is_left(rig, tmp_path, capsys):
    missing = IDS["valve"]
    port = rig((1, 3, *(id for id in IDS.values() if id != missing)))
    answers = []

    def ask(_):
        answers.append(1)
        if len(answers) == 2:
            port.inject(Fault("dead", id=3))
        return ""

    set_up(port.name, "claw", "valve", tmp_path / "my.yaml", ask=ask)
    assert len(answers) == 2 and "2 new servos answer" in capsys.readouterr().err
    assert missing in {servo.id for servo in port.bus.servos}


def test_the_end_in_the_middle_writes_no_file(rig, tmp_path):
    port = rig((1,), baud=FACTORY_BAUD)
    with pytest.raises(StationFault, match="keep"):
        set_up(port.name, "claw", "valve", tmp_path / "my.yaml", ask=lambda _: "q")
    assert not (tmp_path / "my.yaml").exists()


def test_an_existing_file_is_refused_before_anything_is_asked(rig, tmp_path):
    (tmp_path / "my.yaml").write_text("hand: claw")
    with pytest.raises(BadConfig, match="--overwrite"):
        set_up("/dev/none", "claw", "valve", tmp_path / "my.yaml", ask=lambda _: 1 / 0)


def test_a_slow_adapter_is_named_with_the_rule_that_mends_it(rig, tmp_path, capsys):
    port = rig(IDS.values())
    timer = tmp_path / "sys" / port._terminal.split("/")[-1] / "latency_timer"
    timer.parent.mkdir(parents=True)
    timer.write_text("16\n")
    set_up(port.name, "claw", "valve", tmp_path / "my.yaml", sysfs=tmp_path / "sys")
    said = capsys.readouterr().err
    assert "16 ms" in said and "sudo tee /etc/udev/rules.d/99-dynamixel.rules" in said


def test_the_verb_lists_servos_and_names_a_wrong_port(rig, monkeypatch, capsys):
    monkeypatch.setattr("handlab.operation.setting_up.SPEEDS", (1_000_000,))
    monkeypatch.setattr("handlab_hardware.dynamixel.commissioning.SPEEDS", (1_000_000,))
    port = rig((10, 11))
    app = make_app(["setup", "hands"])
    done = CliRunner().invoke(app, ["setup", "dynamixel", "--scan", "--port", port.name])
    assert done.exit_code == 0 and "XM430-W210" in done.stdout, done.output
    wrong = CliRunner().invoke(app, ["setup", "dynamixel", "--port", "/dev/ttyUSB99"])
    assert isinstance(wrong.exception, StationFault) and "plug the adapter in" in str(
        wrong.exception
    )
