"""Peak memory of whole processes."""

from __future__ import annotations

from fixtures import Population
from measure_hits import CHILDREN, one_hit
from report import Section, sized
from timing import knows_peaks, peak_megabytes, python

_TELL = "print(open('/proc/self/status').read())"


def memory(populations: list[Population]) -> list[Section]:
    """One hit, a thousand different hits, and a list of everything, against `import wrapt`."""
    if not knows_peaks():
        return []
    section = Section("Peak memory of a process", "import wrapt", "MB", goal="one hit <= wrapt + 6 MB")
    for population in populations:
        section.add(sized(population.size), _peaks(population))
    return [section]


def _peaks(population: Population) -> dict[str, float]:
    commands = {
        "python -c pass": python("-c", _TELL),
        "import wrapt": python("-c", f"import wrapt; {_TELL}"),
        "one decorated hit": one_hit(population, "peak"),
        "1,000 different hits": python(CHILDREN / "many_hits.py", population.folder, str(population.size)),
        "list of everything": python(CHILDREN / "list_all.py", population.folder),
    }
    return {name: peak_megabytes(command) for name, command in commands.items()}
