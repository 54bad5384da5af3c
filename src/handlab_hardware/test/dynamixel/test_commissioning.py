"""A new station: its port, its servos, their ids, and its file."""

import pytest

from handlab_core.errors import BadConfig, StationFault
from handlab_hardware.dynamixel.commissioning import (
    FACTORY_BAUD,
    Found,
    choose_port,
    give_id,
    scan,
    wanted_ids,
    write_station,
)
from handlab_hardware.dynamixel.emulator import EmulatorConfig, emulate
from handlab_hardware.dynamixel.protocol.bus import Identity, ServoBus
from handlab_hardware.dynamixel.protocol.registers import BAUD_RATES
from handlab_hardware.station_file import station_path


@pytest.fixture
def new(tmp_path):
    """Two servos as the vendor delivers them, but for the second one's id."""
    config = EmulatorConfig(ids=(1, 7), baud=FACTORY_BAUD, link=tmp_path / "port")
    with emulate(config) as port:
        yield port


def test_the_only_adapter_is_chosen_and_several_names_of_one_count_once(tmp_path):
    (tmp_path / "ttyUSB0").touch()
    name = tmp_path / "by-id"
    name.symlink_to(tmp_path / "ttyUSB0")
    both = [str(name), str(tmp_path / "ttyUSB0")]
    assert choose_port("", both) == str(name)
    assert choose_port("/dev/given", both) == "/dev/given"
    (tmp_path / "ttyUSB1").touch()
    with pytest.raises(BadConfig, match=r"ttyUSB1.*|--port"):
        choose_port("", [*both, str(tmp_path / "ttyUSB1")])
    with pytest.raises(StationFault, match="plug it in"):
        choose_port("", [])


def test_a_new_servo_is_found_at_its_speed_and_gets_id_and_speed(new):
    found = scan(new.name)
    assert [(servo.id, servo.baud, servo.model) for servo in found] == [
        (1, FACTORY_BAUD, "XM430-W210"),
        (7, FACTORY_BAUD, "XM430-W210"),
    ]
    bus = ServoBus(new.name, FACTORY_BAUD)
    bus.write(1, "torque_enable", 1)  # which locks the EEPROM
    bus.close()
    give_id(new.name, found[0], 10)
    there = scan(new.name, (1_000_000, FACTORY_BAUD), everything=True)
    assert [(servo.id, servo.baud) for servo in there] == [(10, 1_000_000), (7, FACTORY_BAUD)]
    servo = next(s for s in new.bus.servos if s.id == 10)
    assert servo.table.get("baud_rate") == BAUD_RATES[1_000_000]


def test_a_servo_that_does_not_answer_is_an_error_and_changes_nothing(new):
    with pytest.raises(StationFault, match="servo 3 does not answer"):
        give_id(new.name, Found(3, FACTORY_BAUD, Identity(1030, 46)), 10)
    assert [servo.id for servo in scan(new.name)] == [1, 7]


@pytest.mark.parametrize(
    ("number", "firmware", "warning", "remark"),
    [
        (1030, 46, "", ""),
        (1030, 44, "", "fast reads"),
        (1030, 30, "update", "fast reads"),
        (12, 46, "model number 12", ""),
    ],
)
def test_a_servo_that_the_driver_cannot_use_says_why(number, firmware, warning, remark):
    servo = Found(1, 57600, Identity(number, firmware))
    assert warning in servo.warning and bool(servo.warning) == bool(warning)
    assert remark in servo.remark and bool(servo.remark) == bool(remark)


def test_the_written_file_is_that_of_a_driver(tmp_path):
    ids = wanted_ids("claw", "valve")
    assert ids["FFJ10"] == 10 and ids["valve"] == 50 and len(ids) == 10
    models = {joint: (id, "XM430-W210") for joint, id in ids.items()} | {
        "valve": (50, "XL430-W250")
    }
    path = tmp_path / "my.yaml"
    station = write_station(path, "claw", "valve", "/dev/ttyUSB3", models)
    assert (station.hand, station.fixture) == ("claw", "valve")
    section = station.dynamixel
    assert (section.port, section.baud) == ("/dev/ttyUSB3", 1_000_000)
    assert section.calibration == tmp_path / "my.calibration.yaml"
    assert [servo.model.name for servo in section.servos][-1] == "XL430-W250"
    with pytest.raises(BadConfig, match="--overwrite"):
        write_station(path, "claw", "valve", "/dev/ttyUSB3", models)
    write_station(path, "claw", "valve", "/dev/ttyUSB4", models, overwrite=True)
    assert "ttyUSB4" in path.read_text()


def test_the_ids_of_a_hand_without_servos_of_ours_are_consecutive():
    assert not station_path("none").exists()
    ids = wanted_ids("allegro", "bare")
    assert list(ids.values()) == list(range(10, 27))
