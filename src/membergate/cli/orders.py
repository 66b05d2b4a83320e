"""Commands about orders: may an order use a member's benefits, and giving back what a cancelled one used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from membergate.cli.rendering import print_json, print_table, say
from membergate.cli.settings import DEFAULT_WORKSPACE, InstantOption, JsonOption, WorkspaceOption, instant, present
from membergate.domain.errors import BadInputError

if TYPE_CHECKING:
    from membergate.deciding.policy.allowances import OrderLine

orders = typer.Typer(help="Orders by members: full benefit, limited quantity, ordinary price, hold or cancel.")
_FORM = "SKU=UNITS, SKU=UNITS@BENEFIT (minor units a unit), or SKU=UNITS@BENEFIT/STOCK (the promotion's)"


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(orders, name="order")


@orders.command("decide")
def decide(
    order: Annotated[str, typer.Argument(help="The order's id: a repeat gives the same answer.")],
    account: Annotated[str, typer.Argument(help="Whose order it is.")],
    *,
    line: Annotated[list[str], typer.Option(help=f"A line: {_FORM}. May be repeated.")],
    promotion: Annotated[str, typer.Option(help="The promotion that it belongs to.")] = "",
    at: InstantOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Decide an order, and charge what it uses to its operator's limits."""
    from membergate.operations.order_cases import OrderRequest
    from membergate.operations.orders import OrderDesk, members_of
    from membergate.operations.workspace import Workspace

    lines = tuple(_line(number, text) for number, text in enumerate(line, 1))
    request = OrderRequest(order, account, lines, instant(at), promotion)
    with members_of(Workspace(workspace)) as members:
        answered = OrderDesk(members).decide(request, present)
    if as_json:
        print_json(answered)
        return
    decision = answered.decision
    reasons = ", ".join(decision.reason_codes) or "no reason against it"
    say(f"{decision.order_id}: {decision.disposition.value} ({reasons})")
    rows = ((each.line_id, each.sku_id, each.units, each.granted_units) for each in answered.lines)
    print_table("Units at the member's price", ("line", "sku", ">asked", ">granted"), rows)


@orders.command("release")
def release(
    order: Annotated[str, typer.Argument(help="The order's id.")], *, workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Give back what a cancelled order used of its limits."""
    from membergate.operations.orders import release_order
    from membergate.operations.workspace import Workspace

    released = release_order(Workspace(workspace), order, present)
    say(f"{order}: {released} uses of limits given back")


def _line(number: int, text: str) -> OrderLine:
    from membergate.deciding.policy.allowances import OrderLine

    sku, equals, rest = text.rpartition("=")
    units, _, money = rest.partition("@")
    benefit, _, stock = money.partition("/")
    numbers = [part for part in (units, benefit, stock) if part]
    if not (sku and equals and units and all(part.isascii() and part.isdigit() for part in numbers) and int(units)):
        raise BadInputError(f"cannot read {text!r} as a line", where="--line", allowed=_FORM)
    return OrderLine(str(number), sku, int(units), int(benefit or 0), int(stock) if stock else None)
