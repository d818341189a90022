"""
Every exception entropic raises, each also the builtin it resembles, so both ``except`` habits work.

::

    EntropicError
    ├── ParameterError          ValueError         a name or value that cannot be a parameter
    │   └── ParameterNameError  TypeError          a name that is not text
    ├── UnsupportedTypeError    TypeError          a value with no normaliser
    │   └── NotAMappingError    TypeError          parameters, or a point of a sweep, that are no mapping
    ├── InputFileError          FileNotFoundError  an input file that is missing, or cannot be read
    ├── InputFileChangedError   RuntimeError       an input file that was changed while its run was under way
    ├── ResultMissingError      FileNotFoundError  a runner, or a registration, without a result
    ├── ResultNotSavedError     RuntimeError       a value that a function returned, and save= could not write
    ├── AmbiguousResultError    ValueError         a runner that wrote several things, none of them the result
    ├── StoreWriteError         OSError            a place that cannot be written, or a record that could not be kept
    ├── IndexCorruptError       ValueError         an index file, or a record in it, that cannot be read
    ├── IndexUnavailableError   ConnectionError    a database that does not answer, or refuses (also an OSError)
    ├── IndexVersionError       RuntimeError       an index that a later entropic has made
    ├── IndexURLError           ValueError         a text that names no index
    ├── OtherFolderError        OSError            a results folder that is not the one of the index
    ├── RemoteUnavailableError  ConnectionError    an object store that does not answer, or refuses (also an OSError)
    ├── OtherRemoteError        OSError            a prefix in an object store that belongs to another store
    ├── NotImportableError      ValueError         a file that holds no runs of an earlier release
    ├── QueryTextError          ValueError         a text that is no query
    ├── LinkNameError           ValueError         a template for names of links that names what no run has
    ├── IndexNotEmptyError      ValueError         an index to be copied into that has records already
    ├── SeveralIndexesError     ValueError         a lost index of which it is not clear which one it was
    ├── HashCollisionError      RuntimeError       a record found by hash that belongs to other parameters
    ├── ReentrantRunError       RuntimeError       a run that asks for its own result
    ├── SeveralRanksError       RuntimeError       a run by one of several ranks of an MPI program
    ├── DuplicateFunctionError  ValueError         two different functions of one name on one store
    ├── CodeChangedError        RuntimeError       a recorded run of other code, where that is to be an error
    ├── SeveralCodesError       ValueError         changes to accept, of which it has to be said which
    ├── NotRecordedError        LookupError        a call to reproduce, or a point to annotate, without a recorded run
    ├── SweepError              RuntimeError       a sweep some of whose points have failed
    ├── WorkerDiedError         RuntimeError       a point whose worker process died, not for the first time
    ├── RunTimeoutError         TimeoutError       a run that took longer than it may
    ├── MemoryLimitError        MemoryError        a run that took more memory than it may
    ├── JobLostError            RuntimeError       a job of a batch system that has ended without a result
    ├── WorkerError             RuntimeError       what a worker raised, where that itself could not travel
    ├── NotSharedError          RuntimeError       a sweep in processes that would not see each other's records
    ├── OtherCodeError          RuntimeError       a worker of a sweep runs other code than the process that sweeps
    ├── MissingExtraError       ImportError        a package that is needed for this only, and is not installed
    ├── UnsupportedSystemError  NotImplementedError  a system on which files cannot be locked, so that nothing is run
    └── CommandError            RuntimeError       a program that could not be started, or has failed

What a runner raises passes through unchanged: none of these wraps it. `RunStopped` is none of them, nor an
`Exception`: a run has stopped on request, and carries on when it is called again. The warnings are::

    UserWarning
    ├── StaleResultWarning                         a recorded result is used although its code has changed since
    ├── StaleCheckpointWarning                     an interrupted run begins anew: its code has changed
    ├── LostIndexWarning                           an index without runs beside a folder full of results
    ├── ChangedDefaultWarning                      a default has changed since runs were recorded with it
    ├── MissingFieldWarning                        a call differs from recorded runs only by a field that they lack
    ├── ResultChangedWarning                       a result is not what it was when it was recorded
    ├── ResultOpenWarning                          a result that the process still has open when its run has ended
    ├── MetadataWarning                            what a runner returned cannot be kept as metadata
    ├── NameSharedWarning                          a recorded run is of another function of the same name
    ├── RenamedFunctionWarning                     a run that is missing is recorded by the same code, by another name
    ├── UnseenReadsWarning                         files that a run may have read, and that are not watched
    ├── UnknownNameWarning                         a query by a name, or for a kind of value, that no recorded run has
    ├── RemoteResultWarning                        a result in an object store that is gone, or is not what was stored
    ├── FallbackWarning                            a store that is fallen back on, or a result in it, cannot be used
    ├── IncompleteGridWarning                      collected values with gaps: points without a result
    └── EqualReplicatesWarning                     replicates whose results are byte for byte the same

Every error keeps what its message is made of as attributes, takes them in the order in which they are listed, and
survives pickling and copying with them.
"""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._base import EntropicError
    from ._code import (
        ChangedDefaultWarning,
        CodeChangedError,
        DuplicateFunctionError,
        MissingFieldWarning,
        NameSharedWarning,
        OtherCodeError,
        RenamedFunctionWarning,
        SeveralCodesError,
        StaleCheckpointWarning,
        StaleResultWarning,
        UnseenReadsWarning,
    )
    from ._code import (
        declaration as declaration,
    )
    from ._index import (
        HashCollisionError,
        IndexCorruptError,
        IndexNotEmptyError,
        IndexUnavailableError,
        IndexURLError,
        IndexVersionError,
        LostIndexWarning,
        NotImportableError,
        OtherFolderError,
        SeveralIndexesError,
    )
    from ._installation import MissingExtraError, UnsupportedSystemError
    from ._parameters import PLACED as PLACED
    from ._parameters import (
        InputFileChangedError,
        InputFileError,
        NotAMappingError,
        ParameterError,
        ParameterNameError,
        QueryTextError,
        UnknownNameWarning,
        UnsupportedTypeError,
    )
    from ._places import FallbackWarning, OtherRemoteError, RemoteResultWarning, RemoteUnavailableError
    from ._results import (
        AmbiguousResultError,
        LinkNameError,
        MetadataWarning,
        ResultChangedWarning,
        ResultMissingError,
        ResultNotSavedError,
        ResultOpenWarning,
        StoreWriteError,
    )
    from ._runs import (
        CommandError,
        MemoryLimitError,
        NotRecordedError,
        ReentrantRunError,
        RunStopped,
        RunTimeoutError,
        SeveralRanksError,
        WorkerDiedError,
    )
    from ._sweeps import (
        EqualReplicatesWarning,
        Failure,
        IncompleteGridWarning,
        JobLostError,
        NotSharedError,
        SweepError,
        WorkerError,
    )
    from ._sweeps import (
        sendable as sendable,
    )

__all__ = [
    "AmbiguousResultError",
    "ChangedDefaultWarning",
    "CodeChangedError",
    "CommandError",
    "DuplicateFunctionError",
    "EntropicError",
    "EqualReplicatesWarning",
    "Failure",
    "FallbackWarning",
    "HashCollisionError",
    "IncompleteGridWarning",
    "IndexCorruptError",
    "IndexNotEmptyError",
    "IndexURLError",
    "IndexUnavailableError",
    "IndexVersionError",
    "InputFileChangedError",
    "InputFileError",
    "JobLostError",
    "LinkNameError",
    "LostIndexWarning",
    "MemoryLimitError",
    "MetadataWarning",
    "MissingExtraError",
    "MissingFieldWarning",
    "NameSharedWarning",
    "NotAMappingError",
    "NotImportableError",
    "NotRecordedError",
    "NotSharedError",
    "OtherCodeError",
    "OtherFolderError",
    "OtherRemoteError",
    "ParameterError",
    "ParameterNameError",
    "QueryTextError",
    "ReentrantRunError",
    "RemoteResultWarning",
    "RemoteUnavailableError",
    "RenamedFunctionWarning",
    "ResultChangedWarning",
    "ResultMissingError",
    "ResultNotSavedError",
    "ResultOpenWarning",
    "RunStopped",
    "RunTimeoutError",
    "SeveralCodesError",
    "SeveralIndexesError",
    "SeveralRanksError",
    "StaleCheckpointWarning",
    "StaleResultWarning",
    "StoreWriteError",
    "SweepError",
    "UnknownNameWarning",
    "UnseenReadsWarning",
    "UnsupportedSystemError",
    "UnsupportedTypeError",
    "WorkerDiedError",
    "WorkerError",
]

__getattr__, _ = door(
    __name__,
    {
        "_base": "EntropicError",
        "_code": (
            "ChangedDefaultWarning CodeChangedError DuplicateFunctionError MissingFieldWarning "
            "NameSharedWarning OtherCodeError RenamedFunctionWarning SeveralCodesError StaleCheckpointWarning "
            "StaleResultWarning UnseenReadsWarning declaration"
        ),
        "_index": (
            "HashCollisionError IndexCorruptError IndexNotEmptyError IndexURLError IndexUnavailableError "
            "IndexVersionError LostIndexWarning NotImportableError OtherFolderError SeveralIndexesError"
        ),
        "_installation": "MissingExtraError UnsupportedSystemError",
        "_parameters": (
            "PLACED InputFileChangedError InputFileError NotAMappingError ParameterError ParameterNameError "
            "QueryTextError UnknownNameWarning UnsupportedTypeError"
        ),
        "_places": "FallbackWarning OtherRemoteError RemoteResultWarning RemoteUnavailableError",
        "_results": (
            "AmbiguousResultError LinkNameError MetadataWarning ResultChangedWarning ResultMissingError "
            "ResultNotSavedError ResultOpenWarning StoreWriteError"
        ),
        "_runs": (
            "CommandError MemoryLimitError NotRecordedError ReentrantRunError RunStopped RunTimeoutError "
            "SeveralRanksError WorkerDiedError"
        ),
        "_sweeps": (
            "EqualReplicatesWarning Failure IncompleteGridWarning JobLostError NotSharedError SweepError "
            "WorkerError sendable"
        ),
    },
)


def __dir__() -> list[str]:
    """Only what is for users; the package itself takes some more from here."""
    return list(__all__)
