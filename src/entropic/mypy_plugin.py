"""
A plugin that lets mypy check calls of decorated functions whose ``result_path`` is not their first parameter, or that
have a ``checkpoint_dir``.

A decorator can be typed to take away the first parameter of a function, and no other one; so without the plugin, mypy
checks calls of ``def simulate(result_path, n)``, and lets all calls of ``def simulate(n, *, result_path)`` pass. In the
configuration of mypy::

    [tool.mypy]
    plugins = ["entropic.mypy_plugin"]

It uses what mypy offers to plugins, and nothing else of it. A parameter by another name (``result_arg=``,
``checkpoint_arg=``) it does not know.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.plugin import MethodContext, Plugin
from mypy.types import CallableType, Instance, Parameters, Type, get_proper_type

__all__ = ["EntropicPlugin", "plugin"]

_DECORATE = {
    f"entropic._function._cached.{kind}.__call__": names
    for kind, names in {
        "_Decorator": {"result_path", "checkpoint_dir"},
        "_ValueDecorator": {"checkpoint_dir"},
    }.items()
}


class EntropicPlugin(Plugin):
    """Takes away from the signature of a decorated function what it is given without its callers."""

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        """Answer to decorations with `cached`, and to no other call."""
        names = _DECORATE.get(fullname)
        return None if names is None else lambda context: _decorated(context, names)


def plugin(version: str) -> type[Plugin]:
    """Return the plugin; mypy calls this."""
    return EntropicPlugin


def _decorated(context: MethodContext, given: set[str]) -> Type:
    """The type of the decorated function, with the parameters that its callers see."""
    returned = get_proper_type(context.default_return_type)
    function = get_proper_type(context.arg_types[0][0]) if context.arg_types and context.arg_types[0] else None
    if not isinstance(function, CallableType) or not isinstance(returned, Instance) or not returned.args:
        return returned
    is_runner = function.arg_names[:1] == ["params"] and given.issuperset(map(str, function.arg_names[1:]))
    if is_runner or not given.intersection(function.arg_names):
        return returned
    return returned.copy_modified(args=[_seen_by_callers(function, given), *returned.args[1:]])


def _seen_by_callers(function: CallableType, given: set[str]) -> Parameters:
    kept = [place for place, name in enumerate(function.arg_names) if name not in given]
    return Parameters(
        [function.arg_types[place] for place in kept],
        [function.arg_kinds[place] for place in kept],
        [function.arg_names[place] for place in kept],
        variables=function.variables,
    )
