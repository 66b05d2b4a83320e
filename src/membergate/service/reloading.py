"""Hot reload: what was published, approved or loaded decides from the next request on, and no request is dropped."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import structlog

from membergate.domain.errors import MembergateError
from membergate.domain.instants import Clock
from membergate.operations.history import History
from membergate.operations.workspace import Live, Workspace
from membergate.service.desks import desks_of
from membergate.service.door import Door

_log = structlog.get_logger("membergate.service")
_LOOKS_EVERY_S = 0.5
_Seen = tuple[Live | None, str, int]


class Reloader:
    """Watches a workspace, and gives the door new desks when something else is live or was loaded.

    New desks are set up beside the old ones, which go on answering; then they are exchanged at one stroke. Whatever
    cannot be set up is logged, and the old desks stay. Risk lists need no reload: they are followed at each question.

    Parameters
    ----------
    door
        Whose desks are exchanged.
    workspace
        What is watched.
    history
        The loaded market that the door's desks use.
    clock
        Gives the present.
    every_s
        How often to look, in seconds.
    """

    def __init__(
        self, door: Door, workspace: Workspace, history: History, clock: Clock, *, every_s: float = _LOOKS_EVERY_S
    ) -> None:
        self._door = door
        self._workspace = workspace
        self._history = history
        self._clock = clock
        self._every_s = every_s
        self._seen = self._look()
        self._ended = Event()
        self._thread = Thread(target=self._watch, name="membergate-reload", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; waits for a reload under way."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Look once; gives whether the desks were exchanged."""
        seen = self._look()
        if seen == self._seen:
            return False
        old = self._door.desks
        is_same_market = seen[1] == self._seen[1]
        history = self._history if is_same_market else History(self._workspace.warehouse())
        desks = desks_of(
            self._workspace,
            history,
            self._door.store,
            self._clock,
            lock=old.lock if is_same_market else None,
            before=old,
        )
        self._door.desks = desks
        self._history, self._seen = history, seen
        _log.info("reloaded", model=desks.admission.model_version, policy=desks.admission.policy_version)
        return True

    def _look(self) -> _Seen:
        changes = len(self._door.store.policies.history())  # a policy that goes into shadow changes the desk, too
        return self._workspace.live(), self._workspace.warehouse().fingerprint, changes

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            _guarded(self.look)


def _guarded(look: Callable[[], bool]) -> None:
    """Look, and go on with what there is whatever happens: a door must not close because a file is half written."""
    try:
        look()
    except MembergateError as error:
        _log.error("reload_failed", **error.as_record())
    except Exception as error:  # noqa: BLE001  # as said above
        _log.error("reload_failed", error=f"{type(error).__name__}: {error}")
