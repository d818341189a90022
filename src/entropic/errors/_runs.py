"""Runs: what keeps one from being made, and what ends it."""

from ._base import Declared, EntropicError


class ReentrantRunError(EntropicError, RuntimeError):
    """
    A run that asks for its own result, and would wait for itself for ever.

    Call the function with other arguments inside itself, or the undecorated function through ``__wrapped__``.

    Attributes:
        params_hash: The key that is being run.
    """

    params_hash: str
    _template = (
        "Cannot wait for the run {params_hash}: it is asked for from within itself. "
        "Call the function with other arguments, or the undecorated one through __wrapped__."
    )


class SeveralRanksError(EntropicError, RuntimeError):
    """
    A run by one of several ranks of an MPI program, of which it cannot be known whether they have to act together.

    If they have to, one would run and wait for the others, while these wait for its record. Say what they are, as the
    message advises. Nothing has run.

    Attributes:
        count: How many ranks there are.
    """

    count: int
    _template = (
        "Cannot run: this process is one of {count} ranks of an MPI program. If each works by itself, set "
        "ENTROPIC_RANKS=independent. If all of them make a run together, they would wait for each other here: start "
        "the launcher inside the run, entropic.command(['mpirun', '-n', '{count}', ...]), or have rank 0 retrieve or "
        "register the result and hand it to the others. Nothing has been run. See: entropic docs SeveralRanksError."
    )


class NotRecordedError(EntropicError, LookupError):
    """
    A run to reproduce, to annotate or to look at that is not recorded. Call the function, or run the point, first.

    Attributes:
        name: Of the function; empty for a plain run.
        params_hash: The key of the call, or what else names the run.
        deed: What was to be done with it.
        advice: What to do instead.
    """

    name: str
    params_hash: str
    deed: str = ""
    advice: str = ""
    _template = "Cannot {_deed}: there is no recorded run ({params_hash}). {_way_out}"

    @property
    def _deed(self) -> str:
        if self.deed:
            return f"{self.deed} this run"
        return f"reproduce this call of {self.name}" if self.name else "annotate this point"

    @property
    def _way_out(self) -> str:
        if self.advice:
            return self.advice
        if self.deed:
            return "Pass the first digits of a recorded hash, or the path of a result."
        return "Call the function first." if self.name else "Run or register it first."


class RunStopped(Declared, BaseException):
    """
    A run, or a sweep, that has stopped because it was asked to: nothing is recorded of it, and nothing has failed.

    Call again to carry on. Like `KeyboardInterrupt` it is no `Exception`, so that code which goes on after failures
    does not go on after this.

    Attributes:
        what: What has stopped.
        reason: Why; empty if that is not known.
        done: Of a sweep, how far it has come.
    """

    what: str = "run"
    reason: str = ""
    done: str = ""
    _template = "The {what} was stopped{_why}{_far}. Call again to carry on."

    @property
    def _why(self) -> str:
        return f": {self.reason}" if self.reason else ""

    @property
    def _far(self) -> str:
        return f" ({self.done})" if self.done else ""


class RunTimeoutError(EntropicError, TimeoutError):
    """
    A run has taken longer than it may, and was ended, with all processes that it had started.

    Nothing of it is recorded. Give it more time with ``timeout=``, or let it carry on from checkpoints.

    Attributes:
        timeout: The seconds that it may take.
    """

    timeout: float
    _template = (
        "Cannot finish the run: it has taken longer than the {timeout:g} s that it may, and was ended. Nothing of it "
        "is recorded. Give it more with timeout=, or let it carry on with checkpoint_dir."
    )


class MemoryLimitError(EntropicError, MemoryError):
    """
    A run has taken more memory than it may, and was ended, with all processes that it had started.

    In a sweep, its point was tried once more with no other point running. Nothing of it is recorded.

    Attributes:
        limit_bytes: What it may take.
        used_bytes: What it took, with all its processes, when that was seen.
    """

    limit_bytes: int
    used_bytes: int
    _template = (
        "Cannot finish the run: it has taken {_used} of memory, more than the {_limit} that it may, and was ended. "
        "Nothing of it is recorded. Give it more with memory=, or make it need less."
    )

    @property
    def _used(self) -> str:
        return f"{self.used_bytes / 1e6:,.0f} MB"

    @property
    def _limit(self) -> str:
        return f"{self.limit_bytes / 1e6:,.0f} MB"


class CommandError(EntropicError, RuntimeError):
    """
    A program, started by the runner that `entropic.command` makes, that could not be started or has failed.

    Nothing is recorded. Its output is part of what ``keep_failed`` keeps.

    Attributes:
        program: Its name.
        exit_status: What it returned; the negative number of the signal that ended it; 127 if there is no such
            program and 126 if it could not be started, as in a shell.
        reason: Why it could not be started; empty if it was.
    """

    program: str
    exit_status: int
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"Cannot start the program {self.program!r}: {self.reason}. Check its path, and that it may be run."
        how = _ended(self.exit_status, "failed with")
        return (
            f"Cannot record the run: the program {self.program!r} {how}. What it wrote is discarded, unless the store "
            f"keeps failed runs (keep_failed)."
        )


class WorkerDiedError(EntropicError, RuntimeError):
    """
    A point took its worker process down twice, the second time with no other point running.

    Run the point alone, in the foreground, to see why; often the machine ran out of memory.

    Attributes:
        exit_status: What the process returned; the negative number of the signal that ended it.
    """

    exit_status: int | None
    _template = (
        "Cannot run the point: its worker process {_how}, and did so again with no other point running. Run the point "
        "alone, in the foreground, to see why."
    )

    @property
    def _how(self) -> str:
        hint = " (out of memory, perhaps)" if self.exit_status == -9 else ""
        return _ended(self.exit_status or 0, "ended with") + hint


def _ended(exit_status: int, verb: str) -> str:
    return f"was ended by signal {-exit_status}" if exit_status < 0 else f"{verb} exit status {exit_status}"
