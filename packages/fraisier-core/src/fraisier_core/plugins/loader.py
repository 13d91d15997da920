"""One entry-point group: its names, and the plugins behind those that were used.

pluggy's own loop imports everything, stops at the first plugin that is broken, and passes over the second of
two that share a name; this one does none of that.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any, Literal

import pluggy

from fraisier_core.errors import PluginError
from fraisier_core.plugins.groups import GroupSpec
from fraisier_core.settings import Section
from fraisier_core.text.suggestions import hint, listing


@dataclass(frozen=True, slots=True)
class PluginReport:
    """What became of one entry point, of which package, and why it was set aside."""

    group: str
    name: str
    distribution: str | None
    version: str | None
    status: Literal["ok", "set aside"]
    reason: str | None = None


@dataclass(slots=True)
class NamedPlugin:
    """A loaded plugin under its name, with a caller for each hook that reaches no other plugin."""

    name: str
    plugin: object
    implemented: Collection[str]
    model: type[Section]
    call: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


class _UnusableError(Exception):
    """A plugin cannot be used, and why."""


class Group:
    """The plugins of one entry-point group among those found, each loaded when it is first used."""

    def __init__(self, spec: GroupSpec, found: Iterable[EntryPoint], disabled: Collection[str]) -> None:
        self._spec = spec
        self._disabled = disabled
        self._claims: dict[str, list[EntryPoint]] = {}
        self._loaded: dict[str, NamedPlugin] = {}
        self._set_aside: dict[str, str] = {}
        self._lock = threading.Lock()
        for entry_point in found:
            if entry_point.group == spec.group:
                self._claims.setdefault(entry_point.name, []).append(entry_point)

    def names(self) -> tuple[str, ...]:
        """Return the names that are installed, usable or not, without importing anything."""
        return tuple(sorted(self._claims))

    def plugin(self, name: str) -> NamedPlugin:
        """Return the plugin of that name, loading it the first time. Raises `PluginError`."""
        if name not in self._claims:
            missing = f'no {self._spec.noun} "{name}" is installed{hint(name, self._claims)}'
            raise PluginError(f"{missing} ({self._spec.advice(name)}; installed: {listing(self._claims)})")
        with self._lock:
            if name not in self._loaded and name not in self._set_aside:
                self._load(name)
        if name in self._set_aside:
            origin = " and ".join(map(_origin, self._distinct(name)))
            raise PluginError(
                f'the {self._spec.noun} "{name}" ({origin}) is set aside: {self._set_aside[name]}'
            )
        return self._loaded[name]

    def report(self) -> Iterator[PluginReport]:
        """Load every plugin and return what became of each entry point."""
        for name in self.names():
            with suppress(PluginError):
                self.plugin(name)
            for claim in self._distinct(name):
                reason = self._set_aside.get(name)
                distribution, version = _distribution(claim)
                status: Literal["ok", "set aside"] = "set aside" if reason else "ok"
                yield PluginReport(self._spec.group, name, distribution, version, status, reason)

    def _distinct(self, name: str) -> list[EntryPoint]:
        claims = self._claims[name]
        if len(claims) == 1:
            return claims  # reading the metadata of its distribution takes a millisecond
        # A distribution that is on the path twice is found twice.
        return list({(_distribution(claim)[0], claim.value): claim for claim in claims}.values())

    def _load(self, name: str) -> None:
        try:
            self._register(name, self._imported(name))
        except _UnusableError as error:
            self._set_aside[name] = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - loading runs the plugin's code
            self._set_aside[name] = f"it cannot be loaded: {type(error).__name__}: {error}"

    def _imported(self, name: str) -> object:
        if name in self._disabled:
            raise _UnusableError("disabled by FRAISIER_DISABLED_PLUGINS")
        first, *others = self._distinct(name)
        if others:
            raise _UnusableError("claimed by more than one package; uninstall all but one")
        plugin: object = first.load()
        hash(plugin)  # pluggy keeps plugins in sets
        return plugin

    def _register(self, name: str, plugin: object) -> None:
        specs = self._manager_of([])
        problems = _plugin_problems(plugin, specs, self._spec)
        if problems:
            raise _UnusableError("; ".join(problems))
        functions = {hook: found for hook, (_, found) in _implemented_hooks(plugin, specs).items()}
        named = NamedPlugin(name, plugin, functions, self._model(functions))
        loaded = {**self._loaded, name: named}
        manager = self._manager_of(loaded.values())
        for one in loaded.values():
            others = {other.plugin for other in loaded.values() if other.plugin is not one.plugin}
            one.call = {hook: manager.subset_hook_caller(hook, others) for hook in _hook_names(manager)}
        self._loaded = loaded

    def _manager_of(self, loaded: Iterable[NamedPlugin]) -> pluggy.PluginManager:
        # A new one for each plugin loaded: a registration is seen at once by callers already handed out,
        # which another thread may be using.
        manager = pluggy.PluginManager("fraisier")
        manager.add_hookspecs(self._spec.specs)
        for named in loaded:
            if not manager.is_registered(named.plugin):
                manager.register(named.plugin, named.name)
        return manager

    def _model(self, functions: Mapping[str, Callable[..., Any]]) -> type[Section]:
        extended = self._spec.model_for(functions)
        if "settings" not in functions:
            return extended
        model = functions["settings"]()
        if isinstance(model, type) and issubclass(model, extended):
            model.model_rebuild()  # what is wrong with it is told here, not when it is first used
            return model
        raise _UnusableError(f"settings must return a subclass of {extended.__name__}")


def _distribution(entry_point: EntryPoint) -> tuple[str | None, str | None]:
    distribution = entry_point.dist
    return (distribution.name, distribution.version) if distribution else (None, None)


def _origin(entry_point: EntryPoint) -> str:
    distribution, version = _distribution(entry_point)
    return f"{distribution} {version}" if distribution else entry_point.value


def _plugin_problems(plugin: object, manager: pluggy.PluginManager, group: GroupSpec) -> list[str]:
    """Return everything that keeps a module, or an object with hooks as methods, from being used."""
    implementations = _implemented_hooks(plugin, manager)
    problems = [
        problem
        for name, (options, function) in implementations.items()
        for problem in _implementation_problems(name, options, function, manager)
    ]
    for name in sorted(group.required_of(implementations.keys()) - implementations.keys()):
        undecorated = " (the function of that name lacks @hookimpl)" if hasattr(plugin, name) else ""
        problems.append(f'required hook "{name}" is missing{undecorated}')
    return problems


def _implemented_hooks(
    plugin: object, manager: pluggy.PluginManager
) -> Mapping[str, tuple[pluggy.HookimplOpts, Callable[..., object]]]:
    """Return the hooks that a plugin implements, each with its options and its function."""
    return {
        attribute: (options, getattr(plugin, attribute))
        for attribute in dir(plugin)
        if (options := manager.parse_hookimpl_opts(plugin, attribute)) is not None
    }


def _hook_names(manager: pluggy.PluginManager) -> set[str]:
    """Return the names of the hooks that a manager knows."""
    return {name for name in vars(manager.hook) if not name.startswith("_")}


def _implementation_problems(
    name: str, options: pluggy.HookimplOpts, function: Callable[..., object], manager: pluggy.PluginManager
) -> Iterator[str]:
    hooks = _hook_names(manager)
    if name not in hooks and not options["specname"]:
        if not options["optionalhook"]:
            yield f'unknown hook "{name}"{hint(name, hooks)}'
        return
    if options["specname"]:
        yield f'function "{name}" uses specname=: name it like the hook'
        return
    if options["wrapper"] or options["hookwrapper"]:
        yield f'hook "{name}" is a wrapper, which would see the calls of other plugins'
        return
    deferred = inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction
    if any(is_kind(function) for is_kind in deferred):
        yield f'hook "{name}" is a generator or coroutine: calling it would do nothing'
    spec = getattr(manager.hook, name).spec
    yield from _argument_problems(name, function, spec.argnames)


def _argument_problems(name: str, function: Callable[..., object], known: Collection[str]) -> Iterator[str]:
    for parameter in inspect.signature(function).parameters.values():
        has_default = parameter.default is not parameter.empty
        if parameter.name in known:
            if has_default or parameter.kind is parameter.KEYWORD_ONLY:
                yield f'hook "{name}": argument "{parameter.name}" must be a plain one to be given'
        elif not has_default and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            yield f'hook "{name}": unknown argument "{parameter.name}"{hint(parameter.name, known)}'
