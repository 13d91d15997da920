"""What makes a plugin unusable: a hook that is missing, unknown, or would never be called as written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping

import pluggy

from fraisier_core.text.suggestions import hint


def plugin_problems(plugin: object, manager: pluggy.PluginManager, required: Collection[str]) -> list[str]:
    """Return everything that keeps a module, or an object with hooks as methods, from being used."""
    implementations = implemented_hooks(plugin, manager)
    problems = [
        problem
        for name, (options, function) in implementations.items()
        for problem in _implementation_problems(name, options, function, manager)
    ]
    for name in sorted({*required} - implementations.keys()):
        undecorated = " (the function of that name lacks @hookimpl)" if hasattr(plugin, name) else ""
        problems.append(f'required hook "{name}" is missing{undecorated}')
    return problems


def implemented_hooks(
    plugin: object, manager: pluggy.PluginManager
) -> Mapping[str, tuple[pluggy.HookimplOpts, Callable[..., object]]]:
    """Return the hooks that a plugin implements, each with its options and its function."""
    return {
        attribute: (options, getattr(plugin, attribute))
        for attribute in dir(plugin)
        if (options := manager.parse_hookimpl_opts(plugin, attribute)) is not None
    }


def hook_names(manager: pluggy.PluginManager) -> set[str]:
    """Return the names of the hooks that a manager knows."""
    return {name for name in vars(manager.hook) if not name.startswith("_")}


def _implementation_problems(
    name: str, options: pluggy.HookimplOpts, function: Callable[..., object], manager: pluggy.PluginManager
) -> Iterator[str]:
    hooks = hook_names(manager)
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
