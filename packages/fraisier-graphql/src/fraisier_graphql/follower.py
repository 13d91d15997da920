"""Following the store: one thread hears of commits and tells every subscriber what they added."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

from fraisier_core import Commits, Reader, StoreError

from fraisier_graphql.subscriptions import Following, Subscription, Turn
from fraisier_graphql.topics import Topic

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 1.0
SLOW_SECONDS = 0.02
"""How long to wait for subscribers that are behind and still busy with what they were told."""
RETRY_SECONDS = 1.0


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
        self._topics: dict[Topic, Following] = {}
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
                self._topics[topic] = Following(topic, topic.last(reader))
            self._topics[topic].add(subscription)
            with self._lock:
                self._new.remove((subscription, begun))
            self._in_loop(_done, begun, None)

    def _turn(self, reader: Reader) -> float:
        """Tell all of what is new, and return how long to wait for more."""
        turn = Turn(reader)
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
