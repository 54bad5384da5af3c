"""Subscriptions that survive every message: the only way in which a node receives messages.

A message is used if a known node sent it and its decoder accepts it. Every other message is
dropped, counted, and reported on /diagnostics with its topic and the reason.

| publisher of the message                     | message                                       |
|----------------------------------------------|-----------------------------------------------|
| a node that `topics.SENDERS` lists           | is used                                       |
| another node, while a listed one publishes   | is dropped                                    |
| another node, while no listed one publishes  | is used: an estimator of yours may replace ours |
| a program whose node is not known yet        | waits for at most NAMELESS                    |

Topics that move a real hand are strict: other nodes are never used, and of two nodes with one
listed name the second is dropped until the first has been silent for TAKEOVER.

In lockstep a publisher of a stream repeats its newest messages when a reader appears. A reader that
has received a message ignores its repetition; see `handlab_nodes.runtime.stream`.
"""

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from handlab_nodes.messages import topics
from handlab_nodes.runtime.serialized import (
    LONGEST,
    OPTIONS,
    REPEATED,
    REPETITION,
    Taker,
    first_form,
)

T = TypeVar("T")

NAMELESS = 30.0
"""Seconds; a message waits for the name of its publisher's node. DDS makes publishers known first,
their nodes' names some milliseconds later; on a busy machine it can take seconds. In lockstep the
world waits for every message: one that were dropped too early would stop it for good."""

WAITING = 100
"""Messages of one topic that wait for a name at most."""

ANSWER, LATE_ANSWER = 0.01, 0.2
"""Seconds between two looks at the names while a message waits for one, at first and later."""

EARLY = 2.0
"""Seconds; a message that has waited longer is looked after less often."""

TAKEOVER = 1.0
"""Seconds; a restarted node needs longer to start, so that its commands are used at once."""

DEPTH = 200
"""Messages, least depth of a queue. All publishers of a topic share a subscription's queue: at the
depth of 1 that suits a latched topic, a message of any of them displaces the one that counts."""

UNREAD = 8
"""Messages of a publisher that `Channel.skim` keeps; enough to find two of one time."""

QUIET = 10.0
"""Seconds between two warnings of one topic."""

PUBLISHERS = 100
"""Publishers of one topic that are remembered; a stranger may make any number of them."""

MESSAGE_ONLY, WITH_INFO = SimpleNamespace(value=0), SimpleNamespace(value=1)
"""Kinds of callbacks; `rclpy.subscription.Subscription.CallbackType`."""

NO_NAME = "_NODE_NAME_UNKNOWN_"
"""Name of a node that is not known yet; rmw_dds_common/graph_cache.cpp."""


@dataclass
class Drops:
    """Dropped messages of one topic."""

    count: int = 0
    foreign: int = 0
    """Number of dropped messages whose publishers may not send."""
    reason: str = ""
    """Reason of the newest drop."""
    at: float = float("-inf")
    """Seconds; monotonic time of the newest drop."""


class Inbox:
    """All subscriptions of one node.

    Args:
        node: owns the subscriptions; it gets an attribute `inbox`.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.drops: dict[str, Drops] = {}
        """Dropped messages by topic, as its name is written in `topics`."""
        self.taker = Taker()
        self.waiting = False
        """Whether a message waits for the name of its publisher's node."""
        self._channels: list[Channel[Any]] = []
        self._warned: dict[str, float] = {}
        self._next_look = 0.0  # s
        owner: Any = node  # the attribute is ours
        owner.inbox = self

    @classmethod
    def of(cls, node: Node) -> "Inbox":
        """Return the inbox of a node; the first call makes it."""
        return getattr(node, "inbox", None) or cls(node)

    def subscribe(
        self,
        kind: type,
        topic: str,
        decode: Callable[[bytes], T],
        use: Callable[[T], None],
        profile: QoSProfile | int,
        *,
        holder: Node | None = None,
        senders: Collection[str] | None = None,
        rivals: Collection[str] | None = None,
        strict: bool = False,
        ordered: bool = False,
    ) -> "Channel[T]":
        """Receive messages.

        Args:
            kind: type of the messages.
            topic: name, as in `topics`.
            decode: makes a value of a serialised message, or raises anything.
            use: is given each value.
            profile: quality of service.
            holder: node that holds the subscription; None: this inbox's own.
            senders: names of the nodes that may send; None: those in `topics.SENDERS`.
            rivals: nodes; while one of them publishes, unlisted nodes are refused. None: the
                senders.
            strict: use no message of other nodes, though no listed one publishes.
            ordered: keep the order in which messages of all topics come, and ask for no sender.
        """
        if senders is None:
            senders = topics.SENDERS.get(topic, ())
        subscription = (holder or self.node).create_subscription(
            kind, topic, _not_called, _deep(profile), raw=True
        )
        channel = Channel(self, subscription, topic, decode, use, ordered)
        channel.senders, channel.strict = frozenset(senders), strict
        channel.rivals = frozenset(senders if rivals is None else rivals)
        self._channels.append(channel)
        return channel

    def close(self, channel: "Channel[Any]") -> None:
        """Use the messages that have arrived, then end a subscription."""
        with channel.subscription.handle:
            channel.drain()
        channel.closed = True
        self._channels.remove(channel)
        self.node.destroy_subscription(channel.subscription)

    def drop(self, topic: str, reason: str, foreign: bool = False) -> None:
        """Count a message that is of no use, and warn.

        Args:
            topic: of the message.
            reason: for dropping it.
            foreign: its publisher may not send.
        """
        drops = self.drops.setdefault(topic, Drops())
        drops.foreign += foreign
        drops.count, drops.reason, drops.at = drops.count + 1, reason, time.monotonic()
        if drops.at - self._warned.get(topic, float("-inf")) >= QUIET:
            self._warned[topic] = drops.at
            self.node.get_logger().warning(f"dropped a message on {topic}: {reason}")

    def settle(self) -> float:
        """Look again at messages that wait for a name, if it is time; return when to look next, s.

        Looking asks DDS for all publishers of a topic, which takes longer than many a step.
        """
        now = time.monotonic()
        if now >= self._next_look:
            self.waiting = False
            for channel in list(self._channels):
                self.waiting |= channel.settle()
            since = min((channel.waiting_since for channel in self._channels), default=now)
            self._next_look = now + (ANSWER if now - since < EARLY else LATE_ANSWER)
        return self._next_look - now


class _Newest(dict[bytes, deque[bytes]]):
    """Newest messages of each publisher, by its GID; at most PUBLISHERS of them.

    Args:
        count: of messages that are kept of each.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, gid: bytes) -> deque[bytes]:
        """Begin with a publisher; forget all others if there are too many."""
        if len(self) >= PUBLISHERS:
            self.clear()
        self[gid] = messages = deque[bytes](maxlen=self._count)
        return messages


class Channel(Generic[T]):
    """One subscription; see `Inbox.subscribe`."""

    def __init__(
        self,
        inbox: Inbox,
        subscription: Subscription,
        topic: str,
        decode: Callable[[bytes], T],
        use: Callable[[T], None],
        ordered: bool = False,
    ) -> None:
        self.subscription, self.name = subscription, subscription.topic_name
        self.senders = self.rivals = frozenset[str]()
        self.strict = False
        self._inbox, self.topic, self._decode, self._use = inbox, topic, decode, use
        self._take, self._pointer = inbox.taker.take, subscription.handle.pointer
        self._trusted: set[bytes] = set()
        self._unread = _Newest(UNREAD)
        self._counts: dict[bytes, int] = {}  # newest message of each publisher, as it counts them
        self._holders: dict[str, tuple[bytes, float]] = {}  # GID and when it was heard, by name
        self._waiting: deque[tuple[bytes, bytes, float]] = deque()
        # Message, its number, the newest number of each publisher then, and when it came.
        self._overtaken: deque[tuple[bytes, int, dict[bytes, int], float]] = deque()
        self.overtaken: Callable[[tuple[bytes, dict[str, int]]], None] = self._on_overtaken
        self.closed, self._ordered = False, ordered
        self._last = _Newest(REPEATED) if topic in topics.STREAMS else None  # may be repeated
        if ordered:
            subscription.callback = self.deliver
            return
        drained: Any = subscription  # the attributes are those of its new class
        handle = subscription.handle
        drained.__class__, drained._callback_type = _Drained, WITH_INFO
        drained.channel, drained.handle = self, handle

    def skim(self) -> None:
        """Take all messages, and keep the newest of each publisher unread until `drain`."""
        while taken := self._take(self._pointer):
            data, gid, count = taken
            self._counts[gid] = count
            self._unread[gid].append(data)

    def drain(self) -> bool:
        """Take all messages that have come; return whether there was any."""
        some = False
        if self._unread:
            some = True
            for gid, unread in self._unread.items():
                for data in unread:
                    self._receive(data, gid)
            self._unread.clear()
        while taken := self._take(self._pointer):
            data, gid, count = taken
            self._counts[gid] = count
            self._receive(data, gid)
            some = True
        return some

    def _receive(self, data: bytes, gid: bytes) -> None:
        """Use a message of a trusted publisher; have another one wait until its name is known."""
        if gid in self._trusted or self._ordered:
            self._pass_on(data, gid)
        elif len(self._waiting) < WAITING:
            self._waiting.append((data, gid, time.monotonic()))
            self._inbox.waiting |= self.settle()
        else:
            self._refuse(None)

    def _pass_on(self, data: bytes, gid: bytes) -> None:
        """Use a message, unless it is one of the publisher's last, repeated for another reader."""
        if self._last is not None:
            last = self._last[gid]
            if data[OPTIONS] == REPETITION:
                data = first_form(data)
                if data in last:
                    return
            last.append(data)
        self.deliver(data)

    @property
    def waiting_since(self) -> float:
        """Return since when a message waits for a name; s, infinite if none does."""
        times = [waiting[0][-1] for waiting in (self._waiting, self._overtaken) if waiting]
        return min(times, default=float("inf"))

    def settle(self) -> bool:
        """Use or drop messages that wait for a name; return whether any still waits."""
        if self._overtaken:
            self._attribute()
        if not self._waiting:
            return bool(self._overtaken)
        names, left = self._names(), list(self._waiting)
        self._waiting.clear()
        for data, gid, came in left:
            name = names.get(gid)
            if name is None and time.monotonic() - came < NAMELESS:
                self._waiting.append((data, gid, came))
            elif name in self.senders:
                self._take_from(name, gid, data, names)
            elif self._hears_others(names):
                self._pass_on(data, gid)
            else:
                self._refuse(name)
        return bool(self._waiting or self._overtaken)

    def _take_from(self, name: str, gid: bytes, data: bytes, names: dict[bytes, str]) -> None:
        """Use a listed node's message; on a strict topic two nodes of one name take turns."""
        if not self.strict:
            self._trusted.add(gid)
            self._pass_on(data, gid)
            return
        now = time.monotonic()
        holder, heard = self._holders.get(name, (gid, now))
        if holder != gid and holder in names and now - heard < TAKEOVER:
            self._inbox.drop(self.topic, f"a second {name} sent it", foreign=True)
            return
        self._holders[name] = gid, now
        self.deliver(data)

    def _on_overtaken(self, taken: tuple[bytes, dict[str, int]]) -> None:
        """Receive a message that came between `drain` and the executor's own attempt to take one.

        Its publisher is the one whose next message has its number. It waits for that publisher's
        name like every other message.
        """
        data, info = taken
        count, known = info["publication_sequence_number"], dict(self._counts)
        self._overtaken.append((data, count, known, time.monotonic()))
        self._inbox.waiting |= self.settle()

    def _attribute(self) -> None:
        """Receive the overtaken messages whose publisher has a name by now."""
        names, left = self._names(), list(self._overtaken)
        self._overtaken.clear()
        for data, count, known, came in left:
            due = [gid for gid in names if known.get(gid) == count - 1]
            # The first message of a publisher that is taken may have any number: it may be latched.
            due = due or [gid for gid in names if gid not in known]
            if len(due) == 1:
                self._counts[due[0]] = max(count, self._counts.get(due[0], count))
                self._receive(data, due[0])
            elif due or time.monotonic() - came >= NAMELESS:
                self._refuse(None)
            else:
                self._overtaken.append((data, count, known, came))

    def _names(self) -> dict[bytes, str]:
        """Return the name of the node of each publisher, by GID, as far as it is known."""
        infos = self._inbox.node.get_publishers_info_by_topic(self.name)
        return {bytes(i.endpoint_gid): i.node_name for i in infos if i.node_name != NO_NAME}

    def _hears_others(self, names: dict[bytes, str]) -> bool:
        return not self.strict and self.rivals.isdisjoint(names.values())

    def _refuse(self, name: str | None) -> None:
        sender = f"the node {name}" if name else "a program without a known node"
        known = ", ".join(sorted(self.senders))
        self._inbox.drop(self.topic, f"{sender} sent it; only {known} may", foreign=True)

    def deliver(self, data: bytes) -> None:
        """Use a message, or drop it if its decoder raises anything."""
        if self.closed:  # the executor hears of that at its next turn
            return
        try:
            if not data:
                raise ValueError(f"it is empty, or longer than {LONGEST} bytes")
            value = self._decode(data)
        except Exception as error:  # hostile bytes make decoders fail in every way
            named = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            self._inbox.drop(self.topic, f"{named}{error}".partition("\n")[0][:300])
            return
        self._use(value)


class _Drained(Subscription):
    """A subscription whose messages its channel takes.

    An executor reads `callback` before it takes a message: that is when the channel takes all of
    them, together with their publishers, so that the executor finds none.
    """

    channel: Channel[Any]
    handle: Any = None
    CallbackType: Any = SimpleNamespace(MessageOnly=MESSAGE_ONLY)
    """The executor reads these before every message. In rclpy each is a function in Python."""

    @property
    def callback(self) -> Callable[[tuple[bytes, dict[str, int]]], None]:
        """Take all messages; return the callback for one that comes later."""
        self.channel.drain()
        return self.channel.overtaken

    @callback.setter
    def callback(self, value: Callable[[Any], None]) -> None:
        """Ignore the constructor's callback."""


def _deep(profile: QoSProfile | int) -> QoSProfile:
    """Return a profile whose queue has at least DEPTH places."""
    profile = QoSProfile(depth=profile) if isinstance(profile, int) else profile
    return QoSProfile(
        depth=max(profile.depth, DEPTH),
        reliability=profile.reliability,
        durability=profile.durability,
    )


def _not_called(data: bytes) -> None:
    """Stand in for a callback: `_Drained` has its own."""
