"""
Results and code that changes: a comment costs nothing, a formula is noticed.

entropic records with each run a fingerprint of the code it was made with: of the function, and of the functions,
classes and constants of yours that it uses. This script writes a small model, edits it, and asks again in a new process
each time. Watch that an edited comment is still a hit; that an edited formula is warned of, by name, and runs anew;
that the old formula, put back, has its results at once, and has them when it is written anew and that is accepted.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

folder = Path("runs_changed_code")

MODEL = """
import entropic

store = entropic.Store("results", "index.json", file_suffix=".txt")
GRAVITY = 9.81


def height(time):
    return 100 - GRAVITY * time**2 / 2


@entropic.cached(store, on_change="warn")
def fall(time, *, result_path):
    result_path.write_text(f"{height(time):.2f} m")
"""

ASK = """
import json, warnings
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    from model import fall
    {before}
    text = fall(2.0).result_path.read_text()
info = fall.cache_info()
print(json.dumps([text, [str(one.message) for one in caught], info.misses, info.hits]))
"""

COMMENT = ("/ 2", "/ 2  # no drag")
FORMULA = ("/ 2", "/ 2 - 0.1 * time**3")
ACCEPT = 'fall.accept_changes({"provenance.code": fall.list()[0].provenance["code"]})'  # the runs of the first code
RERUN = ('"warn"', '"rerun"')
runs = hits = 0


def ask(what: str, *edits: tuple[str, str], before: str = "") -> None:
    """Edit the model, and ask for one point in a new process."""
    global runs, hits
    source = MODEL
    for edit in edits:
        source = source.replace(*edit)
    (folder / "model.py").write_text(source)
    command = [sys.executable, "-B", "-c", ASK.format(before=before)]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    text, told, misses, found = json.loads(answer)
    runs, hits = runs + misses, hits + found
    print(f"{what:32} {text:>8}, {'a new run' if misses else 'a hit'}")
    for words in told:
        print("   warned:", re.sub(r" since .*", "", words))


def main() -> None:
    folder.mkdir(exist_ok=True)
    ask("as it was first:")
    ask("with another comment:", COMMENT)
    ask("with another formula:", FORMULA)
    ask('the same with on_change="rerun":', FORMULA, RERUN)
    ask("put back as it was:", RERUN)
    ask("written anew, and accepted:", ("time**2", "time * time"), before=ACCEPT)
    print(f"This time: {runs} runs, {hits} hits.")


if __name__ == "__main__":
    main()
