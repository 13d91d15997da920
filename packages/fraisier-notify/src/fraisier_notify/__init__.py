"""The observer `notify`: word of what failed, recovered or is overdue, to whoever should know.

What there is to say is put into the outbox, and sent apart: so no deployment and no other observer waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fraisier_core import Deployment, DeploymentEvent, Missed, ObserverContext, UnknownNameError, hookimpl

from fraisier_notify.messages import change_of, message_of, missed_message
from fraisier_notify.notify_settings import NotifySettings
from fraisier_notify.outbox import Letter, Outbox
from fraisier_notify.pings import ping_of


@hookimpl
def settings() -> type[NotifySettings]:
    """Return the model of the section."""
    return NotifySettings


@hookimpl
def deployment_changed(
    deployment: Deployment, event: DeploymentEvent, settings: NotifySettings, context: ObserverContext
) -> bool:
    """Put what there is to say about a change into the outbox."""
    # A record that was begun anew, or restored, has the same numbers again, for others.
    identity = f"{event.sequence:020}-{event.deployment_id}"
    if context.repeated and Outbox(context.folder).has_taken(identity):
        return True
    letters = {}
    change = change_of(event, context)
    if change is not None:
        title, body = message_of(change, deployment, event, context)
        for name in settings.hearing(change, _narrowed(context)):
            letters[f"{identity}-{name}"] = Letter(title, body, name=name)
    if context.environment is not None and context.environment.ping is not None:
        ping = ping_of(deployment, event, context)
        if ping is not None:
            letters[f"{identity}-"] = ping
    return _put(letters, context, identity)


@hookimpl
def overdue(missed: Missed, settings: NotifySettings, context: ObserverContext) -> bool:
    """Put into the outbox that a job did not run in time."""
    title, body = missed_message(missed)
    names = settings.hearing("overdue", _narrowed(context))
    # Names may hold what parts would be joined by, but no space.
    key = f"{missed.due} {missed.fraise_id} {missed.environment} {missed.kind}"
    return _put({f"{key} {name}": Letter(title, body, name=name) for name in names}, context)


@hookimpl
def deliver(settings: NotifySettings, context: ObserverContext) -> float | None:
    """Send what is in the outbox."""
    from fraisier_notify.delivering import Delivery

    return Delivery(settings, context).run()


@hookimpl
def send_sample(settings: NotifySettings, names: Collection[str]) -> Mapping[str, str]:
    """Send a test message to some of those who are notified, and return what went wrong with each."""
    from fraisier_notify.messages import SAMPLE
    from fraisier_notify.sending import send

    found = settings.destinations
    if unknown := [name for name in names if name not in found]:
        raise UnknownNameError(f"{unknown[0]} is not in notify: (known there: {', '.join(found) or '-'})")
    urls = {name: found[name].url.get_secret_value() for name in names or found}
    problems = {name: send(url, *SAMPLE, settings.timeout) for name, url in urls.items()}
    return {name: problem.text if problem else "" for name, problem in problems.items()}


@hookimpl
def warnings(settings: NotifySettings) -> Mapping[str, str]:
    """Return which URLs Apprise cannot use."""
    if not settings.destinations:
        return {}
    from fraisier_notify.sending import problem_of

    found = settings.destinations.items()
    problems = {name: problem_of(each.url.get_secret_value()) for name, each in found}
    return {f"{name}.url": problem for name, problem in problems.items() if problem}


def _narrowed(context: ObserverContext) -> tuple[str, ...] | None:
    return context.environment.notify if context.environment else None


def _put(letters: Mapping[str, Letter], context: ObserverContext, event: str | None = None) -> bool:
    outbox = Outbox(context.folder)
    for key, letter in letters.items():
        outbox.put(key, letter)
    if letters and event is not None:
        outbox.take(event)
    return bool(letters)
