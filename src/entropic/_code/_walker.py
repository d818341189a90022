"""What those who follow names ask of one another, for type checkers only."""

from __future__ import annotations

from types import FunctionType, ModuleType
from typing import Any, Protocol

from ._drafts import Description
from ._graph import Graph, Receiver, Target
from ._names import Holder
from ._scopes import Chain


class Walker(Protocol):
    """What those who follow names ask of one another: see the modules that are named like the attributes."""

    graph: Graph

    @property
    def chains(self) -> Chains: ...
    @property
    def classes(self) -> Classes: ...
    @property
    def values(self) -> Values: ...
    def function(
        self, function: FunctionType, receiver: Receiver | None, kind: str, *, only_code: bool = False
    ) -> Target: ...
    def later(self, step: Any) -> None: ...
    def source(self, name: str) -> int | None: ...


class Chains(Protocol):
    """Follows names and attributes."""

    def chain(self, holder: Holder, chain: Chain, *, shown: str = "", only_code: bool = False) -> Target: ...
    def class_chain(self, kind: type, chain: Chain) -> Target: ...
    def member_value(self, kind: type, name: str, receiver: Receiver) -> Target: ...


class Classes(Protocol):
    """Looks at classes and modules."""

    def of_class(self, kind: type) -> Target: ...
    def patched(self, kind: type) -> int | None: ...
    def with_subclasses(self, kind: type) -> Target: ...
    def of_module(self, module: ModuleType) -> Target: ...


class Values(Protocol):
    """Looks at values."""

    def value(
        self,
        value: Any,
        receiver: Receiver | None,
        name: str,
        holder: Holder,
        *,
        shown: str = "",
        only_code: bool = False,
    ) -> Target: ...
    def describe(self, value: Any, name: str, holder: Holder, shown: str, *, only_code: bool = False) -> Target: ...
    def link(self, number: int, prefix: str, described: Description) -> None: ...
