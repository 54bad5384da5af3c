"""The bench of the flight recorder: a few episodes through the real graph and recorder."""

from handlab.benches.running import flight
from handlab.teaching.exact_replay import ExactReplay


def test_failed_episodes_of_a_graph_repeat_to_the_last_bit():
    result = flight.measure(0, episodes=3)
    assert result.value == result.limit == 3
    assert result.details["differ"] == 0 and result.details["compared"] > 3 * 20 * 30


def test_an_episode_that_differs_is_not_counted(monkeypatch):
    replays = [ExactReplay(i, False, 60, 1800, 0, None) for i in range(3)]
    replays[1] = ExactReplay(1, False, 60, 1800, different=1, first=7)
    monkeypatch.setattr(flight, "record_episodes", lambda *_: 3)
    monkeypatch.setattr(flight, "replay_exactly", lambda _: replays)
    result = flight.measure(0, episodes=3)
    assert (result.value, result.details["differ"]) == (2, 1)
