"""Keys of other libraries' values: by content, equal for equal ones; each library is skipped where it is missing."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import zoneinfo
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from entropic.hashing import hash_params, normalize

Values = Callable[[Any], list[Any]]


def _pandas(pd: Any) -> list[Any]:
    table = pd.DataFrame({"a": [1, 2], "b": [0.5, None]})
    return [
        table,
        table.rename(columns={"b": "c"}),
        table.astype({"a": "float64"}),
        table.set_index("a"),
        table.iloc[::-1],
        table.iloc[:0],
        table[["b", "a"]],
        pd.DataFrame({"a": [1, 3], "b": [0.5, None]}),
        pd.DataFrame({"a": ["x", None]}),
        pd.DataFrame({"a": ["x", "None"]}),
        pd.DataFrame({"a": pd.Categorical(["x", "y"])}),
        pd.DataFrame({"a": pd.Categorical(["x", "y"], ["y", "x"])}),
        pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
        pd.DataFrame({"a": pd.array([1, 0], dtype="Int64")}),
        pd.DataFrame({"a": pd.date_range("2026", periods=2, tz="Europe/Berlin")}),
        pd.DataFrame({"a": pd.date_range("2026", periods=2)}),
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])),
        table["a"],
        table["a"].rename("x"),
        table["a"].to_numpy(),
        pd.Index([1, 2]),
        pd.Index([1, 2], name="a"),
        pd.MultiIndex.from_product([[1], [2]]),
        pd.Timestamp("2026-01-01"),
        pd.Timestamp("2026-01-01 00:00:00.000000001"),
        pd.Timestamp("2026-01-01", tz="Europe/Berlin"),
        pd.Timedelta(1, "s"),
        pd.Timedelta(1_000_000_001, "ns"),
        pd.Period("2026-01"),
        pd.Interval(0, 1),
        pd.Interval(0, 1, closed="left"),
        pd.NaT,
        pd.NA,
        None,
        pd.CategoricalDtype(["a"]),
        pd.CategoricalDtype(["b"]),
        pd.Int64Dtype(),
        pd.offsets.Day(2),
    ]


def _polars(pl: Any) -> list[Any]:
    table = pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [[1], [2, 3]]})
    return [
        table,
        table.rename({"b": "d"}),
        table.reverse(),
        table.with_columns(pl.col("a").fill_null(0)),
        table.with_columns(pl.col("a").cast(pl.Int32)),
        table["a"],
        table["b"],
        pl.Series("b", ["x", "z"]),
        pl.Int64(),
        pl.Int32(),
    ]


def _xarray(xr: Any) -> list[Any]:
    field = xr.DataArray([[1.0, 2.0]], dims=("x", "y"), coords={"y": [0, 1]}, name="t", attrs={"unit": "m"})
    return [
        field,
        field.T,
        field + 1,
        field.rename("u"),
        field.assign_attrs(unit="km"),
        field.assign_coords(y=[0, 2]),
        field.drop_attrs(),
        field.to_dataset(),
        field.to_dataset(name="u"),
        field.variable,
    ]


def _scipy_sparse(sparse: Any) -> list[Any]:
    numbers = [[0.0, 1.0], [2.0, 0.0]]
    forms = [
        sparse.csr_array(numbers),
        sparse.csc_array(numbers),
        sparse.coo_array(numbers),
        sparse.csr_matrix(numbers),
    ]
    return [*forms, sparse.csr_array([[0.0, 1.0], [3.0, 0.0]]), sparse.csr_array((2, 3)), sparse.csr_array((3, 2))]


def _scipy_stats(stats: Any) -> list[Any]:
    return [stats.norm, stats.norm(0, 1), stats.norm(0, 2), stats.uniform(0, 1), stats.norm(loc=0, scale=1)]


def _pint(pint: Any) -> list[Any]:
    units = pint.get_application_registry()
    length = units.Quantity(1.0, "m")
    return [length, length.to("cm"), units.Quantity(1.0, "s"), units.Quantity(np.ones(2), "m"), 1.0, units.m, units.s]


def _astropy_units(units: Any) -> list[Any]:
    return [1 * units.m, 1 * units.km, 1 * units.s, np.ones(2) * units.m, np.ones(2), 1.0, units.m, units.m / units.s]


def _astropy_time(time: Any) -> list[Any]:
    moment = time.Time("2026-01-01")
    return [
        moment,
        moment.tai,
        time.Time("2026-01-02"),
        time.Time(moment.jd, format="jd"),
        time.TimeDelta(1.0, format="sec"),
    ]


def _astropy_table(table: Any) -> list[Any]:
    return [
        table.Table({"a": [1, 2]}),
        table.Table({"b": [1, 2]}),
        table.Table({"a": [1, 3]}),
        table.Table({"a": [1.0, 2.0]}),
    ]


def _sympy(sympy: Any) -> list[Any]:
    x, y = sympy.symbols("x y")
    positive = sympy.Symbol("x", positive=True)
    return [x, y, positive, x + y, x * y, x**2, sympy.sin(x), sympy.Integer(1), 1, sympy.pi, sympy.Matrix([[x]])]


def _networkx(nx: Any) -> list[Any]:
    weighted = nx.path_graph(3)
    weighted.add_edge(0, 1, weight=2)
    return [nx.path_graph(3), nx.path_graph(4), weighted, nx.DiGraph([(0, 1), (1, 2)]), nx.MultiGraph([(0, 1), (1, 2)])]


def _torch(torch: Any) -> list[Any]:
    ones = torch.ones(2, 2)
    return [ones, ones.double(), ones.bfloat16(), 2 * ones, torch.ones(4), np.ones((2, 2), "f4"), torch.float32]


def _mpmath(mpmath: Any) -> list[Any]:
    return [mpmath.mpf("0.5"), mpmath.mpf("0.25"), 0.5, mpmath.mpc(0.5)]


LIBRARIES: dict[str, Values] = {
    "pandas": _pandas,
    "polars": _polars,
    "xarray": _xarray,
    "scipy.sparse": _scipy_sparse,
    "scipy.stats": _scipy_stats,
    "pint": _pint,
    "astropy.units": _astropy_units,
    "astropy.time": _astropy_time,
    "astropy.table": _astropy_table,
    "sympy": _sympy,
    "networkx": _networkx,
    "torch": _torch,
    "mpmath": _mpmath,
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_values_of_a_library_are_told_apart_by_content(library: str) -> None:
    """Equal values made twice have one key, and no two different ones share a key."""
    module = pytest.importorskip(library)

    once, again = LIBRARIES[library](module), LIBRARIES[library](module)

    keys = [hash_params({"x": value}) for value in once]
    assert keys == [hash_params({"x": value}) for value in again]
    assert len(set(keys)) == len(keys), [value for value, key in zip(once, keys, strict=True) if keys.count(key) > 1]


def test_how_a_table_lies_in_memory_does_not_matter() -> None:
    """Blocks, views and chunks are no part of a table."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    table = pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]})
    column = pl.Series("a", [1, 2, 3])

    assert normalize(table) == normalize(pd.concat([table[["a"]], table[["b"]]], axis=1))
    assert normalize(table.iloc[:2]) == normalize(pd.DataFrame({"a": [1, 2], "b": [4, 5]}))
    assert normalize(column) == normalize(pl.concat([column[:1], column[1:]], rechunk=False))


def test_a_moment_of_pandas_is_the_equal_datetime() -> None:
    """A point is the same whether it comes out of a DataFrame or not."""
    pd = pytest.importorskip("pandas")
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")

    assert normalize(pd.Timestamp("2026-01-01")) == normalize(dt.datetime(2026, 1, 1))
    assert normalize(pd.Timestamp("2026-01-01", tz=berlin)) == normalize(dt.datetime(2026, 1, 1, tzinfo=berlin))
    assert normalize(pd.Timedelta(1, "s")) == normalize(dt.timedelta(seconds=1))


def test_sparse_matrices_count_by_their_numbers() -> None:
    """Order of the entries, entries written twice and stored zeros aside, are layout."""
    sparse = pytest.importorskip("scipy.sparse")
    plain = sparse.coo_array(([1.0, 2.0], ([0, 1], [1, 0])), shape=(2, 2))
    turned = sparse.coo_array(([2.0, 0.5, 0.5], ([1, 0, 0], [0, 1, 1])), shape=(2, 2))

    before = turned.data.copy()

    assert normalize(plain) == normalize(turned)
    assert (turned.data == before).all()


def test_a_configuration_is_the_equal_dict() -> None:
    """A container of OmegaConf, its references followed, is the plain one."""
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create({"dt": 0.1, "grid": [64, 64], "same": "${dt}"})

    assert normalize(config) == {"dt": 0.1, "grid": [64, 64], "same": 0.1}
    assert normalize(config.grid) == [64, 64]


def _lazy_frame() -> Any:
    return pytest.importorskip("polars").LazyFrame({"a": [1]})


def _open_file() -> Any:
    return pytest.importorskip("h5py").File("x.h5", "w")


def _dummy_symbol() -> Any:
    return pytest.importorskip("sympy").Dummy("x")


def _foreign_array() -> Any:
    class Field(np.ndarray):
        pass

    return np.zeros(2).view(Field)


def _own_distribution() -> Any:
    stats = pytest.importorskip("scipy.stats")

    class Mine(stats.rv_continuous):  # type: ignore[misc]
        pass

    return Mine(name="norm")


def _derived(library: str) -> tuple[Any, Callable[[Any], Any]]:
    """A value of a library, and what makes an equal one of a class that derives from its class, with a note."""
    module: Any = pytest.importorskip(library)
    if library == "pandas":
        kind = type("Derived", (module.DataFrame,), {"_metadata": ["note"], "__module__": __name__})
        return module.DataFrame({"a": [1]}), lambda note: _noted(kind({"a": [1]}), note)
    if library == "networkx":
        kind = type("Derived", (module.Graph,), {"__module__": __name__})
        return module.Graph([(1, 2)]), lambda note: _noted(kind([(1, 2)]), note)
    kind = type("Derived", (module.Tensor,), {"__module__": __name__})
    return module.ones(2), lambda note: _noted(module.ones(2).as_subclass(kind), note)


def _noted(value: Any, note: int) -> Any:
    value.note = note
    return value


@pytest.mark.parametrize("library", ["pandas", "networkx", "torch"])
def test_a_class_that_derives_from_a_librarys_takes_part(library: str) -> None:
    """It may do something else, and hold more; a cached view of what it holds is nothing more."""
    plain, made = _derived(library)
    noted = made(1)
    _ = getattr(noted, "adj", None)

    assert len({hash_params({"x": one}) for one in (plain, made(1), made(2))}) == 3
    assert hash_params({"x": noted}) == hash_params({"x": made(1)})


ONE_VALUE = [
    (np.array(1.5), 1.5),
    (np.array(3, dtype="u1"), 3),
    (np.array("a"), "a"),
    (np.array(None, dtype=object), None),
    (np.array("2026-01-01", dtype="M8[D]"), np.datetime64("2026-01-01")),
]


@pytest.mark.parametrize(("array", "value"), ONE_VALUE)
def test_an_array_without_dimensions_is_its_value(array: Any, value: Any) -> None:
    """As a scalar of NumPy's is; with one dimension it is another value."""
    assert hash_params({"x": array}) == hash_params({"x": value}) != hash_params({"x": array.reshape(1)})


def test_what_is_masked_is_no_number() -> None:
    """The one masked value of NumPy has a key of its own."""
    assert hash_params({"x": np.ma.masked}) not in {hash_params({"x": one}) for one in (0.0, None, np.ma.array([0.0]))}


def test_structures_of_msgspec_count_by_their_fields() -> None:
    """Class and fields, as for a dataclass."""
    msgspec: Any = pytest.importorskip("msgspec")
    first, second = (msgspec.defstruct(name, [("a", int), ("b", int, 2)]) for name in ("First", "Second"))

    assert hash_params({"x": first(1)}) == hash_params({"x": first(1, 2)})
    assert len({hash_params({"x": one}) for one in (first(1), first(2), first(1, 3), second(1), {"a": 1, "b": 2})}) == 5


def _unreadable() -> Any:
    return pytest.importorskip("torch").empty(2, device="meta")


REFUSED = [
    (_unreadable, "cannot be read"),
    (_lazy_frame, r"\.collect\(\)"),
    (_open_file, "InputFile"),
    (_dummy_symbol, "Symbol"),
    (_foreign_array, "asarray"),
    (_own_distribution, "scipy.stats"),
    (lambda: np.random.default_rng(1), "seed"),
    (lambda: np.random.RandomState(1), "seed"),
    (lambda: np.longdouble(1), "float64"),
    (lambda: (n for n in [1]), "list"),
    (lambda: open("x", "w"), "InputFile"),  # noqa: SIM115
]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(("make", "advice"), REFUSED)
def test_what_is_refused_says_what_to_do_for_that_type(make: Callable[[], Any], advice: str) -> None:
    """The message names the parameter and the way out of this very case."""
    with pytest.raises(TypeError, match=rf"parameter 'x'(?s:.)*{advice}"):
        hash_params({"x": make()})


def test_no_library_is_loaded_for_a_key() -> None:
    """Keys of plain values, of dataclasses and of dates load nothing that is not loaded already."""
    script = (
        "import sys, datetime, dataclasses, decimal\n"
        "from entropic.hashing import hash_params\n"
        "C = dataclasses.make_dataclass('C', ['n'])\n"
        "hash_params({'c': C(1), 'd': datetime.date(2026, 1, 1), 'f': len, 's': {1}})\n"
        "print(*sys.modules)"
    )

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout.split()

    assert not {"numpy", "pandas", "scipy", "attrs", "pydantic", "uuid", "fractions"} & set(loaded)
