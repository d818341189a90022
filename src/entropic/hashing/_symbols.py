"""Quantities with units, symbolic expressions, configurations, geometries and graphs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..errors import UnsupportedTypeError
from ._arrays import array_form
from ._forms import Digested, Tagged
from ._types import type_name

_ASTROPY_ADVICE = "Pass the numbers it is made from, with their units."


def _pint(value: Any) -> Tagged:
    return Tagged("$Quantity", {"value": value.magnitude, "unit": str(value.units)})


def _astropy_quantity(value: Any) -> Tagged:
    name = type(value).__name__
    numbers = value.value
    form = {"value": numbers.item() if getattr(numbers, "ndim", 1) == 0 else numbers, "unit": value.unit.to_string()}
    return Tagged("$Quantity", form if name == "Quantity" else {**form, "class": name})


def _astropy_time(value: Any) -> Tagged:
    form = {"jd1": value.jd1, "jd2": value.jd2, "format": value.format, "scale": value.scale}
    place = getattr(value, "location", None)
    return Tagged(f"${type(value).__name__}", form if place is None else {**form, "location": place})


def _astropy_table(value: Any) -> Tagged:
    columns = [[name, str(value[name].unit), _bare(value[name])] for name in value.colnames]
    return Tagged("$Table", {"shape": [len(value), len(columns)], "sha256": Digested([columns, dict(value.meta)])})


def _bare(column: Any) -> Any:
    bare = getattr(column, "value", column)
    return array_form(sys.modules["numpy"].ma.asarray(bare) if hasattr(bare, "mask") else bare)


def _sympy(value: Any) -> Tagged:
    sympy = sys.modules["sympy"]
    if value.has(sympy.Dummy):
        raise UnsupportedTypeError("", type_name(value), "No other process has its Dummy symbols. Use Symbol instead.")
    return Tagged("$sympy", sympy.srepr(value))


def _mpmath(value: Any) -> Tagged:
    parts = value._mpf_ if hasattr(value, "_mpf_") else sum(value._mpc_, ())
    return Tagged(f"${type(value).__name__}", [int(part) for part in parts])


def _omegaconf(value: Any) -> Any:
    omegaconf = sys.modules["omegaconf"]
    return omegaconf.OmegaConf.to_container(value, resolve=True)


def _geometry(value: Any) -> Tagged:
    return Tagged(f"${type(value).__name__}", value.wkb_hex)


def _graph(value: Any) -> Tagged:
    keys = {"keys": True} if value.is_multigraph() else {}
    content = [list(value.nodes(data=True)), list(value.edges(data=True, **keys)), value.graph]
    sizes = {"nodes": value.number_of_nodes(), "edges": value.number_of_edges()}
    return Tagged(f"${type(value).__name__}", {**sizes, "sha256": Digested(content)})


def _cftime(value: Any) -> Tagged:
    return Tagged("$cftime", f"{value.isoformat()}[{value.calendar}]")


def _unyt(value: Any) -> Tagged:
    numpy = sys.modules["numpy"]
    return Tagged("$Quantity", {"value": numpy.asarray(value.value), "unit": str(value.units)})


FORMS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("pint", "PlainQuantity"): _pint,
    ("pint", "PlainUnit"): lambda value: Tagged("$Unit", str(value)),
    ("astropy", "Quantity"): _astropy_quantity,
    ("astropy", "UnitBase"): lambda value: Tagged("$Unit", value.to_string()),
    ("astropy", "FunctionUnitBase"): lambda value: Tagged("$Unit", value.to_string()),
    ("astropy", "TimeBase"): _astropy_time,
    ("astropy", "Table"): _astropy_table,
    ("sympy", "Basic"): _sympy,
    ("sympy", "MatrixBase"): _sympy,
    ("mpmath", "mpf"): _mpmath,
    ("mpmath", "mpc"): _mpmath,
    ("omegaconf", "Container"): _omegaconf,
    ("shapely", "BaseGeometry"): _geometry,
    ("networkx", "Graph"): _graph,
    ("cftime", "datetime"): _cftime,
    ("unyt", "unyt_array"): _unyt,
}
