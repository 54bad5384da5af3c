"""The claw's parts: what they cost, and that the pages say what the lists say."""

import datetime
import re
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from handlab.reporting import bill_of_materials
from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_core.system.paths import share

PARTS = bill_of_materials.read_parts(share() / bill_of_materials.PARTS)
PAGE = (share() / bill_of_materials.PAGE).read_text()
PROSE = bill_of_materials.between(PAGE, bill_of_materials.BEGIN, bill_of_materials.END, "")


def test_the_page_shows_the_list():
    assert bill_of_materials.filled(PAGE, PARTS) == PAGE, (
        "run: python -m handlab.reporting.bill_of_materials"
    )


@pytest.mark.parametrize("build", ["recommended", "budget"])
def test_the_builds_we_advise_stay_under_the_limit(build):
    assert 0 < bill_of_materials.total(PARTS, build) < bill_of_materials.LIMIT
    assert f"**{build}**, ${bill_of_materials.total(PARTS, build):,.0f}" in PROSE


def test_the_page_admits_that_the_original_does_not():
    assert bill_of_materials.total(PARTS, "original") > bill_of_materials.LIMIT
    assert f"**original**, ${bill_of_materials.total(PARTS, 'original'):,.0f}" in PROSE
    margin = bill_of_materials.LIMIT - bill_of_materials.total(PARTS, "recommended")
    assert f"the margin is ${margin:.0f}" in PROSE


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_line_has_a_price_a_date_and_a_source(part):
    assert part.usd > 0 and part.source and any(part.counts.values())
    assert min(part.counts.values()) >= 0
    year, month, day = (*map(int, part.date.split("-")), 1)[:3]
    assert datetime.date(2020, 1, 1) < datetime.date(year, month, day)
    assert part.estimated or part.number, "a listed price is that of a certain part"


@pytest.mark.parametrize("build", bill_of_materials.BUILDS)
def test_every_build_has_a_servo_for_each_joint_and_the_valve(build):
    """And an idler for each of the hand's joints."""
    servos = sum(p.counts[build] for p in PARTS if p.name.startswith("servo"))
    idlers = sum(p.counts[build] for p in PARTS if p.name.startswith("idler"))
    assert servos == make_hand("claw").n + 1 and idlers == make_hand("claw").n


def test_sums_are_sums():
    parts = [bill_of_materials.Part("a", "", {"recommended": 2}, 1.5, "", ""),
             bill_of_materials.Part("b", "", {"recommended": 0}, 9.0, "", "")]  # fmt: skip
    assert bill_of_materials.total(parts, "recommended") == 3.0


def test_a_list_that_lacks_a_column_is_refused(tmp_path):
    path = tmp_path / "parts.csv"
    path.write_text("part,number\na,b\n")
    with pytest.raises(BadConfig, match=r"parts\.csv.*recommended"):
        bill_of_materials.read_parts(path)


def test_the_page_has_the_ids_of_the_station_file():
    station = yaml.safe_load((share() / "config" / "hands" / "claw.yaml").read_text())
    for joint, servo in station["dynamixel"]["servos"].items():
        assert re.search(rf"\| {joint} \| {servo['id']} \|", PAGE), joint


def test_the_drawing_is_well_formed_and_shows_every_id():
    root = ElementTree.parse(share() / "docs" / "images" / "wiring.svg").getroot()
    words = set(" ".join(element.text or "" for element in root.iter()).split())
    assert {"10", "11", "12", "20", "21", "22", "30", "31", "32", "50"} <= words
    assert "images/wiring.svg" in PAGE
