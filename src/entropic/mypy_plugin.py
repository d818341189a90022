"""
A plugin that lets mypy check calls of decorated functions whose ``result_path`` is not their first parameter.

A decorator can be typed to take away the first parameter of a function, and no other one; so without the plugin, mypy
checks calls of ``def simulate(result_path, n)``, and lets all calls of ``def simulate(n, *, result_path)`` pass. In the
configuration of mypy::

    [tool.mypy]
    plugins = ["entropic.mypy_plugin"]

It uses what mypy offers to plugins, and nothing else of it. A parameter by another name (``result_arg=``) it does not
know.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.plugin import MethodContext, Plugin
from mypy.types import CallableType, Instance, Parameters, Type, get_proper_type

__all__ = ["EntropicPlugin", "plugin"]

_DECORATE = "entropic._function._cached._Decorator.__call__"
_RESULT_PATH = "result_path"
_RUNNER = ["params", _RESULT_PATH]


class EntropicPlugin(Plugin):
    """Takes the parameter for the result's path away from the signature of a decorated function."""

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        """Answer to decorations with `cached`, and to no other call."""
        return _decorated if fullname == _DECORATE else None


def plugin(version: str) -> type[Plugin]:
    """Return the plugin; mypy calls this."""
    return EntropicPlugin


def _decorated(context: MethodContext) -> Type:
    """The type of the decorated function, with the parameters that its callers see."""
    returned = get_proper_type(context.default_return_type)
    function = get_proper_type(context.arg_types[0][0]) if context.arg_types and context.arg_types[0] else None
    if not isinstance(function, CallableType) or not isinstance(returned, Instance) or not returned.args:
        return returned
    if _RESULT_PATH not in function.arg_names or function.arg_names == _RUNNER:
        return returned
    return returned.copy_modified(args=[_seen_by_callers(function), *returned.args[1:]])


def _seen_by_callers(function: CallableType) -> Parameters:
    kept = [place for place, name in enumerate(function.arg_names) if name != _RESULT_PATH]
    return Parameters(
        [function.arg_types[place] for place in kept],
        [function.arg_kinds[place] for place in kept],
        [function.arg_names[place] for place in kept],
        variables=function.variables,
    )
