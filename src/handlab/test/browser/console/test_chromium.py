"""The console in a real browser: every button is pressed, and its effect is seen on the graph.

Each test brings page and graph into its own beginning, so that it passes alone and in any order.
"""

import http.server
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import viser
from selenium.webdriver.common.keys import Keys

from handlab.browser.web_guard import PrivateServer, WebGuard

JOINT, LINK = "FFJ12", "first_distal"
"""A joint and the link that it turns."""

FINGERS = 9
"""Number of joints of the fingers; the valve turns freely."""

PHONE = (390, 844)
"""Pixels; window of a telephone."""

pytestmark = pytest.mark.timeout(600)


def test_the_page_shows_hand_nodes_and_topics(page):
    page.unfold("Topics")
    page.until("claw hand, task valve", "the headline")
    page.until(lambda: all(n in page.text() for n in ("driver", "runner", "recorder")), "nodes")
    page.until(lambda: f"{JOINT}\t" in page.text(), "the joints")
    page.until("hand/joint_states, ", "the topics")
    page.until("driver → ", "the ends of a topic")
    assert any(name.endswith(LINK) for name in page.turns())
    canvases = page.driver.find_elements("tag name", "canvas")
    assert any(canvas.size["width"] > 500 for canvas in canvases)


def turn(page):
    """Return the angle of the link in its parent, degrees."""
    [wxyz] = [wxyz for name, wxyz in page.turns().items() if name.endswith(LINK)]
    return np.degrees(2 * np.arctan2(np.linalg.norm(wxyz[1:]), abs(wxyz[0])))


def jog(page, station):
    """Move the slider of the joint, and wait for its servo; a joint that is moved is held."""
    page.unfold("Jog")
    at = station.register(JOINT, "present_position")
    page.fill(JOINT, 20.0 if turn(page) < 10.0 else 0.0)
    held = []

    def moved():
        held.append(station.engaged())
        return abs(station.register(JOINT, "present_position") - at) > 80

    station.until(moved, "the servo to turn")
    assert max(held) == FINGERS


def test_the_hand_on_the_page_moves_as_its_joint_is_jogged(page, station):
    before = turn(page)
    jog(page, station)
    page.until(lambda: abs(turn(page) - before) > 5.0, "the link to turn on the page")


@pytest.mark.parametrize("by", ["button", "key"])
def test_a_stop_releases_all_motors_and_engaging_holds_them_again(page, station, by):
    if by == "key":
        page.key(Keys.SPACE)
    else:
        page.press("STOP (space)")
    station.until(lambda: station.engaged() == 0 and station.stopped, "the stop")
    page.until("STOPPED", "the answer")
    page.press("Engage again")
    station.until(lambda: station.stopped is False, "the end of the stop")
    page.until("engaged again", "the answer")


def test_space_in_a_field_does_not_stop(page, station):
    page.unfold("Recording")
    page.fill("Label", "it slipped")
    station.loop.rest(0.5)
    assert station.stopped is False


def test_torque_is_switched(page, station):
    page.unfold("Jog")
    page.press("Torque off")
    page.until("torque off", "the answer")
    page.until(lambda: station.engaged() == 0, "the hand to be released")
    page.press("Torque on")
    page.until("torque on", "the answer")
    jog(page, station)
    page.press("Torque off")
    page.until(lambda: station.engaged() == 0, "the hand to be released")


def test_the_runner_pauses_and_resumes(page):
    page.press("Pause after this episode")
    page.until("paused between two episodes by a person", "the runner's words")
    page.press("Resume")
    page.until("ready to act", "the runner's words")


def test_a_reset_moves_the_hand_and_reports(page, station):
    page.press("Reset")
    page.until(lambda: station.engaged() >= FINGERS, "the hand to be held")
    answers = r"the reset is done|reset failed: \w"  # a busy machine may be late at the pose
    page.until(lambda: re.search(answers, page.text()), "the answer")


def test_a_label_goes_out_on_its_topic(page, station):
    page.unfold("Recording")
    page.fill("Label", "slipped here")
    page.press("Add the label")
    station.until(lambda: station.labels == ["slipped here"], "the label")
    page.until("label added: slipped here", "the answer")


def test_the_last_seconds_are_saved_as_a_bag(page):
    kept = set(Path("recordings").glob("*-kept"))
    page.unfold("Recording")
    page.press("Save the last seconds")
    page.until(lambda: set(Path("recordings").glob("*-kept")) - kept, "the bag")
    page.until("saved", "the answer")


def test_a_recording_begins_and_ends(page):
    page.unfold("Recording")
    page.says("recorder", "ok", "idle")
    page.press("Record")
    page.says("recorder", "ok", "recording")
    page.press("End of recording")
    page.says("recorder", "ok", "idle")


def test_a_motor_with_an_error_is_named_and_rebooted(page, station):
    station.fail(JOINT)
    page.until(f"{JOINT} error", "the error")
    page.unfold("Motors")
    page.choose("Joint", JOINT)
    page.press("Reboot this joint's motor")
    page.until(lambda: not station.register(JOINT, "hardware_error_status"), "the reboot")
    page.until(lambda: f"{JOINT} error" not in page.text(), "the table")


def test_the_words_of_a_stranger_are_shown_and_make_no_page_of_their_own(page, station):
    words = "<iframe srcdoc='<script>parent.document.title = 1</script>'></iframe> at 70 <80 | *b*"
    title = page.driver.title
    station.say("stranger", words)
    page.until(words, "the words as they are")
    assert not page.driver.find_elements("tag name", "iframe")
    assert page.driver.title == title


def test_calibrating_answers(page):
    page.unfold("Motors")
    page.press("Calibrate: this pose is zero")
    page.until(lambda: "calibrated" in page.text() or "refused:" in page.text(), "the answer")


def test_a_joint_is_released_alone_until_the_torque_is_switched_on(page, station):
    page.unfold("Motors")
    page.choose("Joint", JOINT)
    jog(page, station)
    page.press("Release this joint")
    page.until(lambda: not station.register(JOINT, "torque_enable"), "the release")
    page.until(f"{JOINT} is released", "the answer")
    page.press("Torque on")
    page.until("torque on", "the answer")
    jog(page, station)


def test_a_telephone_shows_the_hand_above_a_panel_that_is_readable(page, station):
    page.press("Torque on")  # for a short answer at the top
    page.resize(PHONE, page.fine)
    page.open(station.address)  # the camera is set when a page opens
    page.until("torque on", "the answer")
    stop = page.find("//button[contains(., 'STOP')]")
    assert page.script("return document.documentElement.scrollWidth") <= PHONE[0]
    assert stop.size["height"] >= 22 and stop.size["width"] >= 200
    sizes = page.script(
        "return [...document.querySelectorAll('td, button')].filter(e => e.offsetParent)"
        ".map(e => [e.innerText, parseFloat(getComputedStyle(e).fontSize),"
        " e.getBoundingClientRect().right])"
    )
    assert len(sizes) > 20
    assert not [(text, size) for text, size, _ in sizes if size < 11.0]
    assert not [text for text, _, right in sizes if right > PHONE[0]]
    page.picture("console_phone")
    page.resize(PHONE)


def test_pictures_of_the_page(page, station):
    page.resize((1000, 640), page.fine)
    page.open(station.address)
    jog(page, station)
    page.find("//button[contains(., 'STOP')]")
    page.picture("console")


@pytest.fixture
def open_server():
    """Serve a page as on a network, with a token."""
    with WebGuard("0.0.0.0", "secret").guarding():
        server = PrivateServer("0.0.0.0", 0, verbose=False)
    yield server.get_port()
    server.stop()


def test_off_loopback_the_page_needs_its_token_once(browser, open_server):
    address = f"http://127.0.0.1:{open_server}"
    browser.driver.get(address)
    assert "open this console with its token" in browser.text()
    for place in (f"{address}/?token=secret", address):  # the browser keeps the cookie
        browser.driver.get(place)
        assert browser.driver.title == "Viser"


ATTACK = """<title>waiting</title><script>
const socket = new WebSocket("ws://127.0.0.1:%d", ["%s"])
socket.onopen = () => document.title = "reached"
socket.onerror = () => document.title = "refused"
</script>"""


def test_a_page_of_another_site_cannot_reach_the_console(browser, station):
    port = int(station.address.rsplit(":", 1)[1])
    page = (ATTACK % (port, f"viser-v{viser.__version__}")).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=site.serve_forever).start()
    try:
        browser.driver.get(f"http://localhost:{site.server_port}")
        browser.until(lambda: browser.driver.title != "waiting", "the attack")
        assert browser.driver.title == "refused"
    finally:
        site.shutdown()
        site.server_close()
