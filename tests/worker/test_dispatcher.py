"""What a dispatcher makes of its processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import entry_points
from multiprocessing import Pipe

import pytest
from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import Plugins
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.worker.dispatcher import Dispatcher
from fraisier_core.worker.jobs import start_launcher, warmth_of

from tests.worker.installation import REQUEST, Installation


@pytest.fixture
def dispatcher(installation: Installation) -> Iterator[Dispatcher]:
    source = ConfigSource(
        installation.folder / "fraises.yaml", Plugins(entry_points(group="fraisier.stores"))
    )
    warmth = warmth_of(source.current(), Host())
    with closing(
        Dispatcher(installation.store, Host(), source, lambda: start_launcher(warmth, source))
    ) as found:
        yield found


def test_nothing_is_heard_of_a_process_that_was_abandoned(dispatcher: Dispatcher) -> None:
    ours, theirs = Pipe()
    dispatcher.adopt(ours)
    theirs.send(ProcessIdentity.of(os.getpid()))
    assert dispatcher.wait(5)
    dispatcher.abandon()
    theirs.close()
    assert not dispatcher.wait(0)
    assert dispatcher.slots == []


def test_only_what_executes_is_told_to_stop(installation: Installation, dispatcher: Dispatcher) -> None:
    lines = [Pipe(), Pipe()]
    for ours, theirs in lines:
        dispatcher.adopt(ours)
        theirs.send(ProcessIdentity.of(os.getpid()))
    while not all(slot.is_ready for slot in dispatcher.slots):
        assert dispatcher.wait(5)
    installation.store.request(REQUEST)
    assert dispatcher.claim(dispatcher.slots[1])
    dispatcher.interrupt("stopped")
    (_, idle), (_, busy) = lines
    with pytest.raises(EOFError):
        idle.recv()
    assert busy.recv().deployment.fraise_id == "api"
    assert busy.recv() == "stopped"
