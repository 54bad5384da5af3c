"""Registries name the things they have, and refuse a second thing of one name."""

import pytest

from handlab_core.errors import UnknownName
from handlab_core.hands import make_hand
from handlab_core.system.registry import Registry
from handlab_core.tasks import make_task


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(UnknownName, match=r"unknown task 'valv'; there is: .*valve"):
        make_task("valv")
    with pytest.raises(UnknownName, match=r"unknown hand 'x'; there is: .*claw"):
        make_hand("x")


def test_a_name_is_registered_once():
    things = Registry("thing")

    def one():
        return 1

    things.register(one)
    with pytest.raises(KeyError, match="already defined"):
        things.register(one)
