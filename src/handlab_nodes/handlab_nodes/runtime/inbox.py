"""Subscriptions that survive every message: the only way in which a node receives messages.

A message is used if a listed node sent it and its decoder accepts it. Every other message is
dropped, counted, and reported on /diagnostics with its topic and the reason.

| publisher of the message                       | message                     |
|------------------------------------------------|-----------------------------|
| a node that `topics.SENDERS` lists             | is used                     |
| another node                                   | is dropped                  |
| any node, on a topic that `SENDERS` leaves out | is used                     |
| a program whose node is not known yet          | waits for at most NAMELESS  |

The rule does not depend on the nodes that are there. At the start of a graph a stranger may be
discovered before the node that it disturbs, and nothing tells when discovery has settled.

Topics that move a real hand are exclusive: of two nodes with one listed name the second is dropped
until the first has been silent for TAKEOVER.

In lockstep a publisher of a stream repeats its newest messages when a reader appears. A reader that
has received a message ignores its repetition; see `handlab_nodes.runtime.stream`.
"""

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from operator import itemgetter
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
"""Messages of one publisher that wait for its node's name at most; the newest ones are kept."""

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

RENAME = " (a program takes such a name by --ros-args -r __node:=NAME)"
"""Advice to the owner of a node that is refused."""

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
        exclusive: bool = False,
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
            senders: names of the nodes that may send; empty: any. None: those in `topics.SENDERS`.
            exclusive: nodes of one name take turns; see TAKEOVER.
            ordered: keep the order in which messages of all topics come, and ask for no sender;
                the repetitions of a stream are passed on with their mark.
        """
        if senders is None:
            senders = topics.SENDERS.get(topic, ())
        subscription = (holder or self.node).create_subscription(
            kind, topic, _not_called, _deep(profile), raw=True
        )
        channel = Channel(self, subscription, topic, decode, use, senders, exclusive, ordered)
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


class _Newest(dict[bytes, deque[T]]):
    """Newest messages of each publisher, by its GID; at most PUBLISHERS of them.

    Args:
        count: number of messages that are kept of each.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, gid: bytes) -> deque[T]:
        """Begin with a publisher; forget all others if there are too many."""
        if len(self) >= PUBLISHERS:
            self.clear()
        self[gid] = messages = deque[T](maxlen=self._count)
        return messages


@dataclass
class _Overtaken:
    """A message that the executor took itself, so that its publisher is not known."""

    data: bytes
    count: int
    """Number that its publisher gave it."""
    newest: dict[bytes, int]
    """Number of the newest message of each publisher before it, by GID."""
    came: float
    """Seconds; monotonic time."""

    def candidates(self, publishers: Collection[bytes]) -> list[bytes]:
        """Return the publishers that may have sent the message.

        It is the one whose next message has its number. A publisher's first message that is taken
        may have any number, since it may be latched; and messages before it may have been lost.
        """
        due = [gid for gid in publishers if self.newest.get(gid) == self.count - 1]
        due = due or [gid for gid in publishers if gid not in self.newest]
        return due or [gid for gid in publishers if self.newest[gid] < self.count]

    def see(self, gid: bytes, count: int) -> bool:
        """Learn from the number of a publisher's next message; return whether it tells anything.

        The publisher that goes on behind this message's number has sent this message, too. One that
        has only reached the number has not.
        """
        due = [gid for gid, newest in self.newest.items() if newest == self.count - 1]
        if count == self.count + 1 and (gid in due or (not due and gid not in self.newest)):
            self.newest = dict.fromkeys(self.newest, self.count) | {gid: self.count - 1}
            return True
        if count <= self.count and self.newest.get(gid) != self.count:
            self.newest[gid] = self.count
            return True
        return False


class Channel(Generic[T]):
    """One subscription; see `Inbox.subscribe`."""

    def __init__(
        self,
        inbox: Inbox,
        subscription: Subscription,
        topic: str,
        decode: Callable[[bytes], T],
        use: Callable[[T], None],
        senders: Collection[str],
        exclusive: bool = False,
        ordered: bool = False,
    ) -> None:
        self.subscription, self.name = subscription, subscription.topic_name
        self.senders, self._exclusive = frozenset(senders), exclusive
        self._inbox, self.topic, self._decode, self._use = inbox, topic, decode, use
        self._take, self._pointer = inbox.taker.take, subscription.handle.pointer
        self._open = ordered or not senders  # to messages of any node
        self._trusted: set[bytes] = set()
        self._nodes: dict[bytes, str] = {}  # names of the other publishers' nodes
        self._unread = _Newest[bytes](UNREAD)
        self._counts: dict[bytes, int] = {}  # newest message of each publisher, as it counts them
        self._holders: dict[str, tuple[bytes, float]] = {}  # GID and when it was heard, by name
        self._waiting = _Newest[tuple[bytes, float]](WAITING)  # message and when it came
        self._overtaken = deque[_Overtaken](maxlen=WAITING)
        self.overtaken: Callable[[tuple[bytes, dict[str, int]]], None] = self._on_overtaken
        self.closed = False
        # Messages that may be repeated.
        repeats = topic in topics.STREAMS and not ordered
        self._last = _Newest[bytes](REPEATED) if repeats else None
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
            self._note(gid, count)
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
            self._note(gid, count)
            self._receive(data, gid)
            some = True
        return some

    def _note(self, gid: bytes, count: int) -> None:
        """Remember the number of a publisher's newest message."""
        if self._overtaken and any([message.see(gid, count) for message in self._overtaken]):
            self.settle()
        if gid not in self._counts and len(self._counts) >= PUBLISHERS:
            self._counts.clear()
        self._counts[gid] = count

    def _receive(self, data: bytes, gid: bytes) -> None:
        """Use a message of a listed node; have it wait until the name of its node is known."""
        if gid in self._trusted or self._open:
            self._pass_on(data, gid)
        elif (name := self._nodes.get(gid)) is not None:
            self._judge(data, gid, name)
        else:
            waiting = self._waiting[gid]
            if len(waiting) == WAITING:  # the oldest one makes room
                self._refuse(None)
            waiting.append((data, time.monotonic()))
            self._inbox.waiting = True
            if len(waiting) == 1:  # the event loop looks again
                self.settle()

    def _judge(self, data: bytes, gid: bytes, name: str) -> None:
        """Use or drop a message of a node whose name is known."""
        if name not in self.senders:
            self._refuse(name)
        elif self._exclusive and not self._has_turn(gid, name):
            self._inbox.drop(self.topic, f"a second {name} sent it", foreign=True)
        else:
            self._pass_on(data, gid)

    def _has_turn(self, gid: bytes, name: str) -> bool:
        """Return whether a publisher is the present one of its name; it is from now on, if free."""
        now = time.monotonic()
        holder, heard = self._holders.get(name, (gid, now))
        if holder != gid and now - heard < TAKEOVER and holder in self._names():
            return False
        self._holders[name] = gid, now
        return True

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
        times = [waiting[0][1] for waiting in self._waiting.values()]
        times += [overtaken.came for overtaken in self._overtaken]
        return min(times, default=float("inf"))

    def settle(self) -> bool:
        """Use or drop messages that wait for a name; return whether any still waits."""
        if self._waiting or self._overtaken:
            names = self._names()
            self._attribute(names)
            self._release(names)
        return bool(self._waiting or self._overtaken)

    def _release(self, names: dict[bytes, str]) -> None:
        """Judge the messages whose publishers have names by now, in the order in which they came.

        Args:
            names: name of each publisher's node, by GID.
        """
        too_old = time.monotonic() - NAMELESS
        ready: list[tuple[float, bytes, bytes]] = []  # when it came, message, GID
        for gid, waiting in list(self._waiting.items()):
            if gid in names:
                self._remember(gid, names[gid])
                ready += [(came, data, gid) for data, came in waiting]
                waiting.clear()
            while waiting and waiting[0][1] <= too_old:
                waiting.popleft()
                self._refuse(None)
            if not waiting:
                del self._waiting[gid]
        for _, data, gid in sorted(ready, key=itemgetter(0)):
            self._receive(data, gid)

    def _remember(self, gid: bytes, name: str) -> None:
        """Remember the name of a publisher's node."""
        if name in self.senders and not self._exclusive:
            self._trusted.add(gid)
            return
        if len(self._nodes) >= PUBLISHERS:
            self._nodes.clear()
        self._nodes[gid] = name

    def _on_overtaken(self, taken: tuple[bytes, dict[str, int]]) -> None:
        """Receive a message that came between `drain` and the executor's own attempt to take one.

        It waits for its publisher's name like every other message.
        """
        data, info = taken
        count = info["publication_sequence_number"]
        if len(self._overtaken) == WAITING:  # the oldest one makes room
            self._refuse(None)
        newest = dict(self._counts)
        self._overtaken.append(_Overtaken(data, count, newest, time.monotonic()))
        self._inbox.waiting |= self.settle()

    def _attribute(self, names: dict[bytes, str]) -> None:
        """Receive the overtaken messages that only one publisher can have sent.

        Args:
            names: name of each publisher's node, by GID.
        """
        left = list(self._overtaken)
        self._overtaken.clear()
        for message in left:
            candidates = message.candidates(names)
            if len(candidates) == 1:
                [gid] = candidates
                self._counts[gid] = max(message.count, self._counts.get(gid, 0))
                self._receive(message.data, gid)
            elif time.monotonic() - message.came >= NAMELESS:
                self._refuse(None)
            else:
                self._overtaken.append(message)

    def _names(self) -> dict[bytes, str]:
        """Return the name of the node of each publisher, by GID, as far as it is known."""
        infos = self._inbox.node.get_publishers_info_by_topic(self.name)
        return {bytes(i.endpoint_gid): i.node_name for i in infos if i.node_name != NO_NAME}

    def has_strangers(self) -> bool:
        """Return whether a publisher of the topic is no listed node, or not known yet."""
        infos = self._inbox.node.get_publishers_info_by_topic(self.name)
        return any(info.node_name not in self.senders for info in infos)

    def _refuse(self, name: str | None) -> None:
        sender = f"the node {name}" if name else "a program without a known node"
        known = ", ".join(sorted(self.senders))
        self._inbox.drop(self.topic, f"{sender} sent it; only {known} may{RENAME}", foreign=True)

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
