"""Each button of the browser console acts on the hand; a program plays the browser.

The program speaks the protocol of viser's own page: a real browser costs many seconds of a core.
"""

import re
import time
from pathlib import Path

import msgspec
import pytest
import viser
import zstandard
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from handlab.emulation.emulated_hands import emulated_graph
from handlab.graph.config import GraphConfig
from handlab_hardware.dynamixel.emulator.faults import Fault
from handlab_hardware.station_file import load_station, station_path

IDS = {servo.joint: servo.id for servo in load_station(station_path("claw")).dynamixel.servos}


class Page:
    """The page of viser, without a screen."""

    def __init__(self, port):
        protocol = Subprotocol(f"viser-v{viser.__version__}")
        self.socket = connect(
            f"ws://127.0.0.1:{port}", subprotocols=[protocol], max_size=None,
            origin=f"http://127.0.0.1:{port}",
        )  # fmt: skip
        self.parts, self.hotkeys = {}, {}
        self.send(  # a page counts as connected when it has sent its view
            "ViewerCameraMessage", wxyz=[1, 0, 0, 0], position=[1, 0, 0], fov=1.0, near=0.1,
            far=10.0, image_height=100, image_width=100, look_at=[0, 0, 0], up_direction=[0, 0, 1],
        )  # fmt: skip

    def listen(self, seconds=0.3):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                data = self.socket.recv(timeout=left)
            except TimeoutError:
                return
            size = int.from_bytes(data[8:16], "little")
            inner = zstandard.ZstdDecompressor().decompress(data[16 : 16 + size])
            for message in msgspec.msgpack.decode(inner)["messages"]:
                self.take(message)

    def take(self, message):
        if message["type"] == "RegisterCommandMessage":
            self.hotkeys[message["props"]["hotkey"]] = message["uuid"]
        elif message["type"] == "GuiUpdateMessage":
            self.parts.setdefault(message["uuid"], {}).update(message["updates"])
        elif message["type"].startswith("Gui") and "props" in message:
            self.parts[message["uuid"]] = message["props"] | {"kind": message["type"]}

    def texts(self):
        return "\n".join(str(part.get("_markdown", "")) for part in self.parts.values())

    def find(self, label):
        return next(uuid for uuid, part in self.parts.items() if part.get("label") == label)

    def send(self, kind, **values):
        self.socket.send(msgspec.msgpack.encode({"type": kind, **values}))

    def press(self, label, value=True):
        self.send("GuiUpdateMessage", uuid=self.find(label), updates={"value": value})

    def until(self, done, what, seconds=30.0):
        end = time.monotonic() + seconds
        check = (lambda: done in self.texts()) if isinstance(done, str) else done
        while not check():
            assert time.monotonic() < end, f"waited for {what}: {self.texts()[-3000:]}"
            self.listen(0.1)


def port_of(log):
    end = time.monotonic() + 60.0
    while time.monotonic() < end:
        if found := re.search(r"open http://127\.0\.0\.1:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.1)
    pytest.fail(log.read_text()[-2000:])


@pytest.mark.timeout(300)
def test_every_button_acts_on_an_emulated_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = GraphConfig(
        "pose", viewer=True, learner=False, keep_last=30.0, bag=str(tmp_path / "bag")
    )
    with emulated_graph(config, tmp_path) as (motors, _):
        servos = motors.bus.loop.servos
        get = lambda joint, name: next(  # noqa: E731
            servo.table.get(name) for servo in servos if servo.id == IDS[joint]
        )
        engaged = lambda: sum(get(joint, "torque_enable") for joint in IDS)  # noqa: E731
        page = Page(port_of(tmp_path / "nodes.log"))
        page.until("| driver |", "the words of the nodes", 60.0)
        page.until(lambda: re.search(r"\| FFJ10 \| -?\d+\.\d \|", page.texts()), "a position")
        page.until(lambda: re.search(r"\| FFJ10 .* 25 \| 12\.0 \|", page.texts()), "temperatures")
        # A slider moves its joint while it is fresh, and no other.
        before = get("FFJ10", "goal_position")
        page.press("FFJ10", 15.0)
        page.until(lambda: get("FFJ10", "goal_position") >= before + 80, "the jog")
        assert engaged() == 9
        # The stop releases all at once, by the button and by the key.
        page.press("STOP (space)")
        page.until(lambda: engaged() == 0, "the stop", 3.0)
        page.until("STOPPED", "the word")
        page.press("Engage again")
        page.until(lambda: engaged() == 9, "the hand to be held")
        page.send("CommandTriggerMessage", uuid=page.hotkeys["space"])
        page.until(lambda: engaged() == 0, "the stop by the key", 3.0)
        page.press("Engage again")
        page.until(lambda: engaged() == 9, "the hand to be held")
        page.press("Torque off")
        page.until(lambda: engaged() == 0, "the torque")
        # A motor with an error is named, and rebooted.
        motors.inject(Fault("overload", id=IDS["FFJ10"]))
        page.until("**FFJ10 error", "the error")
        page.press("Joint", "FFJ10")
        page.press("Reboot this joint's motor")
        page.until(lambda: not get("FFJ10", "hardware_error_status"), "the reboot")
        page.press("Calibrate: this pose is zero")
        page.until("refused", "the refusal: the pose is far from zero")
        page.press("Pause after this episode")
        page.until("paused between two episodes by a person", "the runner's words")
        page.press("Resume")
        page.until("ready to act", "the runner's words")
        page.press("Label", "slipped here")
        page.press("Add the label")
        page.until("label added: slipped here", "the label")
        page.press("Save the last seconds")
        page.until("-kept", "the bag")
        [bag] = Path("recordings").glob("*-kept")
        assert (bag / "metadata.yaml").exists() and b"slipped here" in next(
            bag.glob("*.mcap")
        ).read_bytes()
        page.press("Record")
        page.until("recording", "the recorder")
        page.press("End of recording")
        page.until("recording ended", "the recorder")
        page.press("Torque on")
        page.press("Reset")
        page.until("reset", "the reset")
        page.socket.close()
