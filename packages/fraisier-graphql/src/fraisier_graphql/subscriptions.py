"""Who is subscribed to a topic, and what one look at the store tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fraisier_core import Reader

from fraisier_graphql.topics import Row, Topic

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
class Turn:
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


class Following:
    """One topic and its subscribers: together after `head`, or each alone as long as it is behind."""

    def __init__(self, topic: Topic, head: int) -> None:
        self.topic = topic
        self.head = head
        self.live: set[Subscription] = set()
        self.behind: set[Subscription] = set()

    def add(self, subscription: Subscription) -> None:
        """Tell a subscriber from its position on, or of what comes now."""
        if subscription.position is None:
            subscription.position = self.head
            self.live.add(subscription)
        else:
            self.behind.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Tell a subscriber no more."""
        self.live.discard(subscription)
        self.behind.discard(subscription)

    def turn(self, turn: Turn) -> bool:
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

    def _catch_up(self, subscription: Subscription, turn: Turn) -> bool:
        """Tell one that is behind of the next rows; return whether it still is. What it has read then is at
        least what `head` was read from.
        """
        rows = self.topic.rows(turn.reader, subscription.position or 0, PAGE)
        turn.tell(subscription, rows)
        if len(rows) < PAGE:
            self.behind.discard(subscription)
            self.live.add(subscription)
        return len(rows) == PAGE
