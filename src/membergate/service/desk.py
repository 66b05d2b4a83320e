"""The desk that the door asks: whoever can turn a question into a decision, and say with which versions it judges."""

from __future__ import annotations

from typing import Protocol

from membergate.domain.decision import Decision
from membergate.domain.instants import Clock
from membergate.operations.admission import AdmissionRequest


class AdmissionDesk(Protocol):
    """Decides one application at a time. It need not be safe to share between threads: the door lets them in singly."""

    @property
    def model_version(self) -> str:
        """The model that witnesses.

        Raises
        ------
        MembergateError
            If the desk cannot decide now; the service then says that it is not ready, and why.
        """

    @property
    def policy_version(self) -> str:
        """The policy that judges.

        Raises
        ------
        MembergateError
            If the desk cannot decide now.
        """

    def decide(self, request: AdmissionRequest, clock: Clock) -> Decision:
        """Decide one application.

        Raises
        ------
        UnknownSubjectError
            If nobody knows the account or the application.
        MembergateError
            If the desk cannot decide.
        """
