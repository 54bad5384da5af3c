"""Chromium without a screen, and an emulated hand with its console."""

import os
import re
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool

from handlab.emulation.emulated_hands import emulated_graph
from handlab.graph.config import GraphConfig
from handlab_core.system.paths import share
from handlab_hardware.dynamixel.emulator.faults import Fault
from handlab_hardware.station_file import load_station, station_path
from handlab_interfaces.srv import JointTorque
from handlab_nodes.messages import qos, topics
from handlab_nodes.runtime.event_loop import guest

PROGRAMS = ("chromium", "chromedriver")

SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-dev-shm-usage",
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-unsafe-swiftshader",
    "--hide-scrollbars",
)

DESK, PHONE = (1000, 700), (390, 844)
"""Pixels; width and height of windows."""

COARSE = 0.25
"""Pixels drawn for a pixel of the page; a processor that draws 3D is slow."""

PATIENCE = 150.0
"""s; on an idle machine most waits take less than a second."""

FEW_FRAMES = """
window.requestAnimationFrame = draw => setTimeout(() => draw(performance.now()), 100)
window.cancelAnimationFrame = clearTimeout
"""
"""Draws ten frames a second: without a graphics card, sixty take a whole processor."""

PICTURES = os.environ.get("HANDLAB_PICTURES", "")
"""Folder for pictures as sharp as on a screen; without it they are coarse, and below build/."""

IDS = {servo.joint: servo.id for servo in load_station(station_path("claw")).dynamixel.servos}


class Browser:
    """A window of Chromium, and what a person does with it."""

    fine = 1.0 if PICTURES else COARSE

    def __init__(self):
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            pytest.skip(f"no {' and '.join(missing)}: sudo apt install chromium chromium-driver")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for switch in SWITCHES:
            options.add_argument(switch)
        self.driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(PATIENCE)
        command = "Page.addScriptToEvaluateOnNewDocument"
        self.driver.execute_cdp_cmd(command, {"source": FEW_FRAMES})

    def close(self):
        self.driver.quit()

    def resize(self, size, scale=COARSE):
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": scale}
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", metrics | {"mobile": size == PHONE}
        )

    def open(self, address):
        self.driver.get(address)
        self.until(lambda: "STOP" in self.text(), "the panel")
        for warning in self.driver.find_elements(By.CSS_SELECTOR, ".mantine-Notification-root"):
            warning.find_element(By.TAG_NAME, "button").click()  # of a slow renderer

    def script(self, text, *values):
        return self.driver.execute_script(text, *values)

    def text(self):
        return self.script("return document.body.innerText")

    def until(self, done, what, seconds=PATIENCE):
        end = time.monotonic() + seconds
        check = (lambda: done in self.text()) if isinstance(done, str) else done
        while not (found := check()):
            assert time.monotonic() < end, f"waited for {what}: {self.text()}"
            time.sleep(0.05)
        return found

    def says(self, *words):
        """Wait for a row of a table, or the begin of one."""
        self.until("\t".join(words), words[0])

    def find(self, path):
        """Return an element, in the middle of the window: the panel's edges catch clicks."""
        found = self.driver.find_element(By.XPATH, path)
        self.script("arguments[0].scrollIntoView({block: 'center'})", found)
        return found

    def unfold(self, folder):
        """Open a folder of the panel if it is closed."""
        title = self.find(f"//div[contains(@class, 'Paper') and normalize-space()='{folder}']")
        content = title.find_element(By.XPATH, "following-sibling::*[1] | ../*[last()]")
        if not content.is_displayed() or content.size["height"] < 5:
            title.click()
            self.until(lambda: content.size["height"] > 20, folder)

    def press(self, label):
        self.find(f'//button[normalize-space()="{label}"]').click()

    def field(self, label):
        """Return the field that a label names; a slider's is its number."""
        row = f"//label[normalize-space()='{label}']/ancestor::*[.//input[not(@type='hidden')]][1]"
        return self.find(f"{row}//input[not(@type='hidden')]")

    def fill(self, label, value):
        field = self.field(label)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(str(value), Keys.ENTER)

    def choose(self, label, option):
        self.field(label).click()
        name = f"//*[@role='option'][normalize-space()='{option}']"
        self.until(lambda: self.driver.find_elements(By.XPATH, name), option)
        self.find(name).click()

    def key(self, key):
        self.script("document.activeElement.blur()")
        ActionChains(self.driver).send_keys(key).perform()

    def turns(self):
        """Return the orientation of each part of the hand on the page, by its place in the tree."""
        return self.script(
            "const found = {};"
            "for (const [name, pose] of Object.entries(window.__viserMutable.nodePoseData))"
            "  if (name.startsWith('/visual')) found[name] = Array.from(pose.wxyz);"
            "return found"
        )

    def picture(self, name):
        folder = share() / (PICTURES or "build/pictures")
        folder.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(folder / f"{name}.png"))


class Station:
    """An emulated claw, its graph, and a node that listens."""

    def __init__(self, motors, node, loop, log):
        self.motors, self.loop, self._log = motors, loop, log
        self.labels, self.stopped = [], None
        node.create_subscription(
            String, topics.LABEL, lambda message: self.labels.append(message.data), qos.EPISODES
        )
        stopped = topics.of_driver(topics.DRIVERS[0], topics.STOPPED)
        node.create_subscription(Bool, stopped, self._on_stopped, qos.LATCHED)
        stop = topics.of_driver(topics.DRIVERS[0], topics.EMERGENCY_STOP)
        self._stop, self._torque, self._pause, self._record = (
            node.create_client(SetBool, name)
            for name in (stop, topics.HAND_TORQUE, topics.PAUSE, topics.RECORD)
        )
        self._reports = node.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, 10)
        released = topics.of_driver(topics.DRIVERS[0], topics.JOINT_TORQUE)
        self._release = node.create_client(JointTorque, released)

    def _on_stopped(self, message):
        self.stopped = message.data

    @property
    def address(self):
        return re.search(r"open (http://127\.0\.0\.1:\d+)", self._log.read_text())[1]

    def until(self, done, what, seconds=PATIENCE):
        self.loop.wait(done, what, seconds)

    def register(self, joint, name):
        servos = self.motors.bus.loop.servos
        return next(servo.table.get(name) for servo in servos if servo.id == IDS[joint])

    def engaged(self):
        return sum(self.register(joint, "torque_enable") for joint in IDS)

    def say(self, name, words):
        """Report on the diagnostics as a program that is no part of the graph."""
        status = DiagnosticStatus(level=DiagnosticStatus.WARN, name=name, message=words)
        self._reports.publish(DiagnosticArray(status=[status]))

    def fail(self, joint):
        self.motors.inject(Fault("overload", id=IDS[joint]))

    def begin(self):
        """Bring the graph into the state in which every test begins."""
        beginning = (
            (self._stop, False), (self._torque, True), (self._pause, False), (self._record, False)
        )  # fmt: skip
        for client, value in beginning:
            self.loop.ask(client, SetBool.Request(data=value), client.srv_name)
        held = JointTorque.Request(joints=[], torque=True)
        self.loop.ask(self._release, held, self._release.srv_name)
        self.labels.clear()
        self.until(lambda: self.stopped is False, "the hand to be engaged")


@pytest.fixture(scope="module")
def browser():
    found = Browser()
    yield found
    found.close()


@pytest.fixture(scope="module")
def station(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("station")
    config = GraphConfig(
        "valve", viewer=True, learner=False, keep_last=30.0, bag=str(folder / "bag")
    )
    before, log = Path.cwd(), folder / "nodes.log"
    os.chdir(folder)
    try:
        with ExitStack() as stack:
            motors, graph = stack.enter_context(emulated_graph(config, folder))
            node, loop = stack.enter_context(guest("_person", graph.domain))
            found = Station(motors, node, loop, log)
            found.until(lambda: "open http" in log.read_text(), "the console")
            browser.resize(DESK)
            browser.open(found.address)
            yield found
    finally:
        os.chdir(before)


@pytest.fixture
def page(browser, station):
    """The page of a station that is engaged, at rest and without errors."""
    browser.resize(DESK)
    if not browser.driver.current_url.startswith(station.address):
        browser.open(station.address)
    station.begin()
    browser.until(lambda: "ready to act" in browser.text(), "the words of the nodes")
    return browser
