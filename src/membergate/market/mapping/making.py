"""Reading `sources`: which files each one lies in, how they are written, and which sources are made from others."""

from __future__ import annotations

from membergate.market.mapping.expressions import compile_expression
from membergate.market.mapping.form import SourceOptions, View
from membergate.market.mapping.places import Place

LINE_NUMBER = "line_number"
"""The column that `number_within` makes."""
_OF_FILES = ("encoding", "delimiter", "files", "optional", "may_lack", "one_file_per")
ELEMENT_NUMBER = "element_number"
"""The column that `unnest` makes: an element's place in its list, from 1."""
_OF_VIEWS = ("from", "unnest", "number_within", "let", "group_by", "where")


def read_sources(node: Place, defaults: SourceOptions) -> tuple[dict[str, SourceOptions], dict[str, View]]:
    """Read the sources that say something of themselves.

    Returns
    -------
    tuple of dict
        The sources in files and the sources that are made from others, by name.

    Raises
    ------
    BadInputError
        If one of them says something wrong, or is made from one that comes after it.
    """
    options: dict[str, SourceOptions] = {}
    views: dict[str, View] = {}
    entries = node.children()
    for name, child in entries.items():
        child.allow(*_OF_FILES, *_OF_VIEWS)
        if "from" not in child.content:
            child.allow(*_OF_FILES)
            _require_apart(child)
            options[name] = SourceOptions(
                child.text("encoding") or defaults.encoding,
                read_delimiter(child, defaults.delimiter),
                child.names("files"),
                child.flag("optional"),
                child.names("may_lack"),
                child.names("one_file_per"),
                child.where,
            )
            continue
        child.allow(*_OF_VIEWS)
        views[name] = _view(name, child)
        base = views[name].base
        if base == name or (base in entries and base not in options and base not in views):
            raise child.wrong(
                f"the source {name} is made from {base}, which is not there yet", "sources that stand above it"
            )
    return options, views


def _require_apart(node: Place) -> None:
    """Refuse a key that may be missing: rows of which nobody knows to what they belong cannot be told apart."""
    both = [name for name in node.names("one_file_per") if name in node.names("may_lack")]
    if both:
        raise node.wrong(
            f"{both[0]} may be missing and tells files apart", "one_file_per: columns that are always there"
        )


def read_delimiter(node: Place, otherwise: str) -> str:
    """Read what stands between two fields of a text file; `otherwise` where nothing is said.

    Raises
    ------
    BadInputError
        If it is not one printable mark or a tab.
    """
    given = node.text("delimiter")
    if given is None:
        return otherwise
    if len(given) != 1 or given in '"\r\n' or not (given == "\t" or given.isprintable()):
        raise node.wrong(f"fields cannot be separated by {given!r}", 'one mark, such as ";", "|" or a tab ("\t")')
    return given


def _view(name: str, node: Place) -> View:
    condition, group_by = node.text("where"), node.names("group_by")
    if group_by and (condition or "number_within" in node.content or "unnest" in node.content):
        raise node.wrong("a source with groups does nothing else", "group_by and let; the rest in a source below it")
    let = {}
    for column, child in node.child("let", {}).children().items():
        if not isinstance(child.content, str):
            raise child.wrong(f"a computed column is an expression, not {child.content!r}", f"{column}: lower(email)")
        let[column] = compile_expression(child.content, where=child.where, may_aggregate=bool(group_by))
    return View(
        name,
        node.text("from") or "",
        node.text("unnest"),
        node.names("number_within"),
        let,
        group_by,
        compile_expression(condition, where=f"{node.where}.where") if condition else None,
        node.where,
    )
