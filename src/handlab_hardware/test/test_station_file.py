import numpy as np
import pytest
import yaml

from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_hardware.station_file import Gains, load_station, station_path

CLAW = yaml.safe_load(station_path("claw").read_text())


@pytest.fixture
def given():
    return yaml.safe_load(station_path("claw").read_text())


@pytest.fixture
def load(tmp_path):
    def load(given, **options):
        path = tmp_path / "station.yaml"
        path.write_text(yaml.safe_dump(given, sort_keys=False))
        return load_station(path, **options)

    return load


def refused(load, given, *words):
    with pytest.raises(BadConfig) as error:
        load(given)
    for word in words:
        assert str(word) in str(error.value)


def test_the_claw_has_every_joint_with_the_ids_and_zeros_of_robel():
    station = load_station(station_path("claw"))
    servos = {servo.joint: servo for servo in station.dynamixel.servos}
    for joint in make_hand("claw").joints:
        assert servos[joint].id == int(joint[3:])
        top = joint.endswith("0")
        assert servos[joint].zero == pytest.approx(np.pi / 2 if top else np.pi, abs=1e-6)
    assert servos["valve"].id == 50
    assert station.dynamixel.baud == 1_000_000 and not station.dynamixel.calibrated


def test_gains_are_those_of_the_servo_then_of_the_station_then_of_power_on(load, given):
    section = given["dynamixel"]
    d, i, p = load(given).dynamixel.servos[0].model.gains
    assert load(given).dynamixel.servos[0].gains == Gains(p, i, d)
    section["gains"] = {"p": 600, "d": 200}
    section["servos"]["FFJ11"]["gains"] = {"p": 450}
    first, second = load(given).dynamixel.servos[:2]
    assert first.gains == Gains(600, 0, 200) and second.gains == Gains(450, 0, 0)


def test_the_leap_hand_has_the_gains_of_its_makers_program():
    servos = load_station(station_path("leap")).dynamixel.servos
    sideways = {servo.id for servo in servos if servo.gains == Gains(450, 0, 150)}
    assert sideways == {0, 4, 8}
    assert {servo.gains for servo in servos if servo.id not in sideways} == {Gains(600, 0, 200)}


def test_a_models_plug_makes_no_difference(load, given):
    given["dynamixel"]["servos"]["FFJ10"]["model"] = "XL330-M288-T"
    assert load(given).dynamixel.servos[0].model.number == 1200
    given["dynamixel"]["servos"]["FFJ10"]["model"] = "XL330-M288-X"
    with pytest.raises(BadConfig, match="XL330-M288-X"):
        load(given)


def test_unknown_keys_are_named_beside_the_known(load, given):
    refused(load, given | {"colour": "red"}, "colour", "hand, fixture, dynamixel, allegro")
    given["dynamixel"]["bauds"] = 1
    refused(load, given, "bauds", "port, servos, baud, mode, calibration")
    del given["dynamixel"]["bauds"]
    given["dynamixel"]["servos"]["FFJ10"]["offset"] = 0
    refused(load, given, "offset", "FFJ10", "id, model, zero, direction")


def test_all_that_is_wrong_with_ids_and_joints_is_said_at_once(load, given):
    servos = given["dynamixel"]["servos"]
    del servos["FFJ11"], servos["THJ32"]
    servos["MFJ20"]["id"] = servos["MFJ21"]["id"] = 12
    servos["wrist"] = {"id": 7, "model": "XM430-W210", "zero": 0.0}
    refused(load, given, "12", "FFJ11, THJ32", "wrist", "more than once")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("dynamixel", "port", None),
        ("dynamixel", "baud", "fast"),
        ("dynamixel", "baud", 0),
        ("dynamixel", "mode", "torque"),
        ("dynamixel", "servos", {}),
        ("FFJ10", "id", 253),
        ("FFJ10", "id", "ten"),
        ("FFJ10", "zero", None),
        ("FFJ10", "zero", True),
        ("FFJ10", "zero", float("nan")),
        ("FFJ10", "zero", float("inf")),
        ("FFJ10", "zero", 1e300),
        ("FFJ10", "zero", "1.5 rad"),
        ("FFJ10", "id", True),
        ("FFJ10", "id", 10**50),
        ("FFJ10", "model", None),
        ("FFJ10", "model", ["XM430-W210"]),
        ("FFJ10", "direction", 0),
        ("FFJ10", "direction", True),
        ("dynamixel", "servos", ["FFJ10"]),
        ("dynamixel", "servos", {"FFJ10": 10}),
        ("dynamixel", "port", ""),
        ("dynamixel", "port", 3),
        ("dynamixel", "baud", 10**12),
        ("dynamixel", "calibration", 3),
        ("dynamixel", "calibration", "a\0b"),
        ("dynamixel", "gains", 600),
        ("dynamixel", "gains", {"p": 16_384}),
        ("dynamixel", "gains", {"d": 200}),
        ("FFJ10", "gains", {"p": -1}),
        ("FFJ10", "gains", {"p": 600, "k": 1}),
    ],
)
def test_impossible_values_are_refused(load, given, section, key, value):
    place = given["dynamixel"]
    (place if section == "dynamixel" else place["servos"][section])[key] = value
    refused(load, given, key)


@pytest.mark.parametrize("zero", [float("nan"), 1e300, True, None, "1.5"])
def test_impossible_zeros_of_a_calibration_are_refused(load, given, tmp_path, zero):
    given["dynamixel"]["calibration"] = "zeros.yaml"
    zeros = dict.fromkeys(given["dynamixel"]["servos"], 0.5) | {"FFJ11": zero}
    (tmp_path / "zeros.yaml").write_text(yaml.safe_dump({"zeros": zeros}))
    refused(load, given, "zeros.yaml", "zeros.FFJ11 is")


def test_a_wrong_section_of_the_allegro_is_refused_when_the_file_is_read(load):
    refused(
        load, {"hand": "allegro", "fixture": "valve", "allegro": {"side": "up"}}, "side is 'up'"
    )


def test_unknown_names_list_the_known(load, given):
    given["dynamixel"]["servos"]["FFJ10"]["model"] = "XM1"
    with pytest.raises(BadConfig, match=r"station.yaml: FFJ10: unknown .*XM430-W210"):
        load(given)
    with pytest.raises(BadConfig, match=r"station.yaml: unknown hand 'paw'; there is: .*claw"):
        load(CLAW | {"hand": "paw"})


def test_a_servo_without_current_cannot_limit_it(load, given):
    given["dynamixel"]["mode"] = "current_based_position"
    assert load(given).dynamixel.mode == "current_based_position"
    given["dynamixel"]["servos"]["valve"]["model"] = "XL430-W250"
    refused(load, given, "servo 50 (valve)", "position")


@pytest.mark.parametrize("only", ["valve", "hand"])
def test_one_group_alone_is_a_station(load, given, only):
    servos = given["dynamixel"]["servos"]
    kept = {j: s for j, s in servos.items() if (j == "valve") == (only == "valve")}
    given["dynamixel"]["servos"] = kept
    assert {s.joint for s in load(given).dynamixel.servos} == set(kept)


def test_a_station_may_have_no_servos_and_the_allegro_section_is_kept(load):
    station = load({"hand": "claw", "fixture": "valve", "allegro": {"channel": "can0"}})
    assert station.dynamixel is None and station.allegro == {"channel": "can0"}


def test_a_calibration_replaces_the_zeros_once_it_exists(load, given, tmp_path):
    given["dynamixel"]["calibration"] = "zeros.yaml"
    assert not load(given).dynamixel.calibrated
    zeros = {joint: 0.1 * i for i, joint in enumerate(given["dynamixel"]["servos"])}
    (tmp_path / "zeros.yaml").write_text(yaml.safe_dump({"zeros": zeros}))
    section = load(given).dynamixel
    assert section.calibrated and {s.joint: s.zero for s in section.servos} == zeros
    nominal = load(given, nominal=True).dynamixel
    assert not nominal.calibrated and nominal.servos[0].zero == pytest.approx(np.pi / 2, abs=1e-6)
    del zeros["valve"]
    (tmp_path / "zeros.yaml").write_text(yaml.safe_dump({"zeros": zeros}))
    refused(load, given, "zeros.yaml", "valve", "calibrate")


def test_files_that_cannot_be_read_say_so(tmp_path):
    with pytest.raises(BadConfig, match="No such file"):
        load_station(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(BadConfig, match="keys and values"):
        load_station(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(BadConfig, match="not YAML"):
        load_station(tmp_path / "broken.yaml")
