"""The desk that the door asks: whoever can turn a question into a decision, and say with which versions it judges."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from membergate.domain.decision import Decision
from membergate.domain.instants import Clock
from membergate.operations.admission import AdmissionRequest
from membergate.operations.order_cases import OrderCase, OrderRequest
from membergate.operations.orders import OrderAnswer


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


class OrderDesk(Protocol):
    """Decides orders. Any thread may ask."""

    def decide(self, request: OrderRequest, clock: Clock) -> OrderAnswer:
        """Decide an order, with everything on record before the answer.

        Raises
        ------
        UnknownSubjectError
            If nobody knows the account.
        KeyReusedError
            If the order's id was asked about with other content.
        MembergateError
            If the desk cannot decide.
        """

    def at_hand(self, request: OrderRequest, now: datetime) -> OrderCase | None:
        """Take an order on from memory alone, to be settled by the record; None where something must be looked up.

        Raises
        ------
        MembergateError
            If the desk cannot decide.
        """

    def release(self, order_id: str, clock: Clock) -> int:
        """Give back what a cancelled order used of its limits.

        Raises
        ------
        UnknownSubjectError
            If nobody asked about the order.
        """
