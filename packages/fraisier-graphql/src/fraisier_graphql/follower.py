"""Following the store: one thread hears of commits and tells every subscriber what they added."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

from fraisier_core import Commits, Reader, StoreError

from fraisier_graphql.topics import Row, Topic

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 1.0
SLOW_SECONDS = 0.02
"""How long to wait for subscribers that are behind and still busy with what they were told."""
RETRY_SECONDS = 1.0
PAGE = 200


class Listener(Protocol):
    """Who is told, in the event loop."""

    @property
    def is_ready(self) -> bool:
        """Whether everything that was told so far is sent; called in any thread."""

    def next(self, answers: list[str]) -> None:
        """Take answers, each the text of its JSON."""

    def complete(self) -> None:
        """Hear that no more will come."""

    def fail(self) -> None:
        """Hear that what will come is lost."""


@dataclass(eq=False, slots=True)
class Subscription:
    """What a subscriber asked for.

    Args:
        topic: what is followed.
        sql: the statement for one row, its column `answer` the JSON of the field.
        parameters: those of the statement but for the row's position.
        key: the field's name in the answer.
        wants: whether a row is to be told.
        listener: who is told.
        position: after which position to begin; None for what is added from now on.
    """

    topic: Topic
    sql: str
    parameters: Mapping[str, Any]
    key: str
    wants: Callable[[Row], bool]
    listener: Listener
    position: int | None = None
    answer: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Say what of it decides the answer: subscribers who have that in common share it."""
        self.answer = (self.key, self.sql, *sorted(self.parameters.items()))


@dataclass(slots=True)
class _Turn:
    """One look at the store: what it found for whom."""

    reader: Reader
    answers: dict[tuple[Any, ...], str | None] = field(default_factory=dict)
    told: list[tuple[Listener, list[str]]] = field(default_factory=list)
    ended: list[Listener] = field(default_factory=list)

    def tell(self, subscription: Subscription, rows: list[Row]) -> None:
        """Tell a subscriber of the rows that it wants and was not told of."""
        after = subscription.position or 0
        wanted = (row for row in rows if row.position > after and subscription.wants(row))
        answers = [text for row in wanted if (text := self._answer(subscription, row)) is not None]
        if rows:
            subscription.position = max(after, rows[-1].position)
        if answers:
            self.told.append((subscription.listener, answers))

    def _answer(self, subscription: Subscription, row: Row) -> str | None:
        """Return what is told of a row, None if it is gone."""
        key = (row.position, subscription.answer)
        if key not in self.answers:
            parameters = {**subscription.parameters, subscription.topic.key: row.position}
            found = self.reader.answer(subscription.sql, parameters)
            self.answers[key] = f'{{"data":{{"{subscription.key}":{found}}}}}' if found else None
        return self.answers[key]

    def deliver(self) -> None:
        """Tell them, in the event loop."""
        for listener, answers in self.told:
            listener.next(answers)
        for listener in self.ended:
            listener.complete()


class _Following:
    """One topic and its subscribers: together after `head`, or each alone as long as it is behind."""

    def __init__(self, topic: Topic, head: int) -> None:
        self.topic = topic
        self.head = head
        self.live: set[Subscription] = set()
        self.behind: set[Subscription] = set()

    def add(self, subscription: Subscription) -> None:
        if subscription.position is None:
            subscription.position = self.head
            self.live.add(subscription)
        else:
            self.behind.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        self.live.discard(subscription)
        self.behind.discard(subscription)

    def turn(self, turn: _Turn) -> bool:
        """Tell of what is new, and return whether there may be more already."""
        has_ended = self.topic.has_ended(turn.reader)  # before the rows are read: none comes after its end
        rows = self.topic.rows(turn.reader, self.head, PAGE)
        for subscription in self.live:
            turn.tell(subscription, rows)
        if rows:
            self.head = rows[-1].position
        is_behind = [self._catch_up(each, turn) for each in [*self.behind] if each.listener.is_ready]
        if has_ended and len(rows) < PAGE:
            turn.ended += [each.listener for each in self.live]
            self.live.clear()
        return len(rows) == PAGE or any(is_behind)

    def _catch_up(self, subscription: Subscription, turn: _Turn) -> bool:
        """Tell one that is behind of the next rows; return whether it still is. What it has read then is at
        least what `head` was read from.
        """
        rows = self.topic.rows(turn.reader, subscription.position or 0, PAGE)
        turn.tell(subscription, rows)
        if len(rows) < PAGE:
            self.behind.discard(subscription)
            self.live.add(subscription)
        return len(rows) == PAGE


class Follower:
    """Has a thread of its own while anybody is subscribed, and none otherwise. One look at the store, and one
    statement for each row and kind of answer, serve all subscribers.

    Args:
        open_reader: opens the read side of the store; raises `StoreError`.
    """

    def __init__(self, open_reader: Callable[[], Reader]) -> None:
        self._open_reader = open_reader
        self._lock = threading.Lock()
        self._new: list[tuple[Subscription, asyncio.Future[None]]] = []
        self._gone: list[Subscription] = []
        self._topics: dict[Topic, _Following] = {}
        self._thread: threading.Thread | None = None
        self._commits: Commits | None = None
        self._retry = threading.Event()
        self._is_closed = False
        self._is_lost = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def add(self, subscription: Subscription) -> None:
        """Begin to tell a subscriber: of everything that is added after this returns. Raises `StoreError`."""
        self._loop = asyncio.get_running_loop()
        begun: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._new.append((subscription, begun))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="follow", daemon=True)
                self._thread.start()
        self._wake()
        await begun

    def remove(self, subscription: Subscription) -> None:
        """Tell a subscriber no more."""
        with self._lock:
            self._gone.append(subscription)
        self._wake()

    def close(self) -> None:
        """End the thread, and wait until it has."""
        self._is_closed = True
        thread = self._thread
        self._wake()
        if thread is not None:
            thread.join()

    def _wake(self) -> None:
        with self._lock:
            if self._commits is not None:
                self._commits.wake()
            self._retry.set()

    def _run(self) -> None:
        """Follow while anybody is subscribed; what a lost database keeps from being read is read later."""
        is_over = False
        try:
            while not is_over:
                try:
                    self._follow()
                    is_over = True
                except StoreError as error:
                    self._lose(error)
                    is_over = self._has_ended()
        finally:
            if self._is_closed or not is_over:
                self._abandon()

    def _follow(self) -> None:
        with closing(self._open_reader()) as reader, closing(reader.commits()) as commits:
            with self._lock:
                self._commits = commits
            try:
                while not self._has_ended():
                    self._admit(reader)
                    commits.wait(self._turn(reader))
                    self._is_lost = False
            finally:
                with self._lock:
                    if self._commits is commits:  # else another thread has begun
                        self._commits = None

    def _lose(self, error: StoreError) -> None:
        """Wait for a database that is lost; say so once, and refuse whoever comes."""
        if not self._is_lost:
            logger.error("subscribers hear nothing: %s", error)
        self._is_lost = True
        with self._lock:
            new, self._new = self._new, []
        for _, begun in new:
            self._in_loop(_done, begun, error)
        self._retry.wait(RETRY_SECONDS)
        self._retry.clear()

    def _has_ended(self) -> bool:
        with self._lock:
            for subscription in self._gone:
                if following := self._topics.get(subscription.topic):
                    following.remove(subscription)
            self._gone.clear()
            self._topics = {topic: each for topic, each in self._topics.items() if each.live or each.behind}
            if self._is_closed or not (self._topics or self._new):
                self._thread = None
                return True
            return False

    def _admit(self, reader: Reader) -> None:
        """Take in who subscribed since the last turn."""
        with self._lock:
            new = list(self._new)
        for subscription, begun in new:
            topic = subscription.topic
            if topic not in self._topics:
                self._topics[topic] = _Following(topic, topic.last(reader))
            self._topics[topic].add(subscription)
            with self._lock:
                self._new.remove((subscription, begun))
            self._in_loop(_done, begun, None)

    def _turn(self, reader: Reader) -> float:
        """Tell all of what is new, and return how long to wait for more."""
        turn = _Turn(reader)
        has_more = [following.turn(turn) for following in self._topics.values()]
        if turn.told or turn.ended:
            self._in_loop(turn.deliver)
        if any(has_more):
            return 0.0
        is_slow = any(following.behind for following in self._topics.values())
        return SLOW_SECONDS if is_slow else LONGEST_WAIT_SECONDS

    def _abandon(self) -> None:
        """Let nobody wait for a thread that has ended before its time."""
        with self._lock:
            new, self._new = self._new, []
            self._thread = None
        for _, begun in new:
            self._in_loop(_done, begun, StoreError("the store is not followed any more"))
        for following in self._topics.values():
            for subscription in (*following.live, *following.behind):
                self._in_loop(subscription.listener.fail)
        self._topics = {}

    def _in_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)


def _done(begun: asyncio.Future[None], error: StoreError | None) -> None:
    if begun.done():  # the client went away
        return
    if error is None:
        begun.set_result(None)
    else:
        begun.set_exception(error)
