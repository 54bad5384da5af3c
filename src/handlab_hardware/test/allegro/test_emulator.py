"""Firmware of an emulated Allegro hand."""

from handlab_hardware.allegro.emulator import EmulatedHand
from handlab_hardware.allegro.protocol import (
    Frame,
    Message,
    frame_id,
    split_id,
)

TICK = 0.001


def test_the_emulated_hand_sends_by_its_periods_and_answers_when_asked():
    sent = []
    hand = EmulatedHand(sent.append)
    for i in range(100):
        hand.tick(i * TICK)
    assert not sent
    hand.receive(Frame(frame_id(Message.TEMPERATURE + 2, 0), remote=True))
    hand.receive(Frame(frame_id(Message.SERIAL, 1), remote=True))  # another device
    assert [f.id for f in sent] == [0x0E8]
    sent.clear()
    hand.receive(Frame(frame_id(Message.SET_PERIOD, 0), bytes.fromhex("0a0000001900")))
    for i in range(100, 201):
        hand.tick(i * TICK)
    kinds = [split_id(f.id)[0] & ~3 for f in sent]
    assert kinds.count(Message.FINGER_POSE) == 4 * 10
    assert kinds.count(Message.TEMPERATURE) == 4 * 4


def test_torque_without_motors_on_does_nothing():
    hand = EmulatedHand(lambda frame: None)
    hand.receive(Frame(frame_id(Message.SET_TORQUE, 0), bytes.fromhex("ff00ff00ff00ff00")))
    assert not hand.counts.any()
