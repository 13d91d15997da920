"""One observer, and the process in which it is called: for one thing at a time, each duty in its turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fraisier_core.observer_context import Missed
from fraisier_core.store.holds import Hold
from fraisier_core.worker.duties import Changes, Deliveries, Duty, OverdueJobs, Told
from fraisier_core.worker.telling import Telling


@dataclass(slots=True)
class Listener:
    """Calls an observer for what it is to do, at its own pace; the processes hold the `lock` of all."""

    told: Told
    lock: int
    telling: Telling | None = None
    _duties: list[Duty] = field(init=False)
    _changes: Changes = field(init=False)
    _overdue: OverdueJobs | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        observer = self.told.observer
        deliveries = Deliveries(self.told)
        self._changes = Changes(self.told, deliveries.wanted)
        self._duties = [self._changes]
        if observer.delivers:
            self._duties.append(deliveries)
        if observer.hears_of_overdue:
            self._overdue = OverdueJobs(self.told, deliveries.wanted)
            self._duties.append(self._overdue)

    @property
    def hears_of_overdue(self) -> bool:
        """Whether it is told of jobs that did not run in time."""
        return self._overdue is not None

    def note_overdue(self, missed: Sequence[Missed]) -> None:
        """Tell it of these, if it was not told already."""
        if self._overdue is not None:
            self._overdue.missed = missed

    def note_holds(self, holds: Mapping[str, Hold]) -> None:
        """Tell it of these, by the ids of what waits for them, if it was told otherwise."""
        self._changes.note_holds(holds)

    def turn(self, *, go_on: bool) -> None:
        """Take in what happened, and begin what is next unless not to go on."""
        if self.telling is not None and (outcome := self.telling.outcome()) is not None:
            self.telling = None
            self.told.show(outcome.printed)
            self._duties[0].ended(outcome)
            self._duties.append(self._duties.pop(0))
        if not go_on:
            return
        self.told.save()
        if self.telling is not None:
            return
        for duty in list(self._duties):
            if call := duty.next_call():
                self._duties.remove(duty)
                self._duties.insert(0, duty)
                self.telling = Telling(call, self.told.settings.timeout, self.lock)
                return

    def close(self) -> None:
        """Kill the process that is telling; what it was telling is told again by the next one."""
        if self.telling is not None:
            self.told.show(self.telling.kill())
        self.told.save(at_once=True)
