"""The SQL behind sightings, step by step: accounts, earliest sightings, shared tokens, habits, spans, hubs.

Texts become codes as soon as what cannot link is out, so that the steps with windows sort numbers. Instants are
microseconds since 1970 in UTC.
"""

from __future__ import annotations

from membergate.learning.identity.rules import LinkRule, LinkRules, Source, TogetherRule

OPEN_END = 2**63 - 1
"""The instant of what has not ended."""
_ACCOUNTS = "membergate_identity_accounts"
_EARLIEST = "membergate_identity_earliest"
_TOKENS = "membergate_identity_tokens"
_SIGHTINGS = "membergate_identity_sightings"
_PLACED = "membergate_identity_placed"
PLACES = "membergate_identity_places"
TEMPORARY_TABLES = (_ACCOUNTS, _EARLIEST, _TOKENS, _SIGHTINGS, PLACES)
Selects = list[list[str]]
"""For each rule, the queries that read its sources."""


def make_accounts(tables: list[str]) -> str:
    """Give all accounts codes in the order in which any row of theirs became visible; no code depends on the future."""
    rows = " UNION ALL ".join(
        f'SELECT CAST(account_id AS VARCHAR) AS account_id, min(visible_at) AS visible_at FROM "{table}" GROUP BY 1'
        for table in tables
    )
    return f"""
CREATE OR REPLACE TEMP TABLE {_ACCOUNTS} AS
SELECT account_id, first_visible_at, row_number() OVER (ORDER BY first_visible_at, account_id) - 1 AS account
FROM (SELECT account_id, epoch_us(min(visible_at)) AS first_visible_at FROM ({rows})
      WHERE account_id IS NOT NULL GROUP BY account_id)
"""


READ_ACCOUNTS = f"SELECT account_id, first_visible_at FROM {_ACCOUNTS} ORDER BY account"


def source_selects(rules: LinkRules, columns: dict[str, frozenset[str]]) -> Selects:
    """Write one query for each source whose table and columns exist."""
    return [
        [
            _source_select(index, rule, source, columns)
            for source in rule.sources
            if {source.column, source.address_column or source.column} <= columns.get(source.table, frozenset())
        ]
        for index, rule in enumerate(rules.rules)
    ]


def _source_select(index: int, rule: LinkRule, source: Source, columns: dict[str, frozenset[str]]) -> str:
    """Select the tokens of one column, each with the cap that holds at its kind of address while that kind is known."""
    ended = "seen.superseded_at" if "superseded_at" in columns[source.table] else "CAST(NULL AS TIMESTAMP)"
    token = f'CAST(seen."{source.column}" AS VARCHAR)'
    place, cap, join = "''", str(rule.cap), ""
    since, until = "epoch_us(seen.visible_at)", f"coalesce(epoch_us({ended}), {OPEN_END})"
    if source.address_column:
        place = f'CAST(seen."{source.address_column}" AS VARCHAR)'
        if rule.address_caps and "kind" in columns.get("addresses", frozenset()):
            cases = " ".join(f"WHEN '{c.address_kind}' THEN {c.cap}" for c in rule.address_caps)
            cap = f"CASE spell.kind {cases} ELSE {rule.cap} END"
            join = f" LEFT JOIN spell ON spell.address_id = {place} AND spell.since < {until} AND spell.until > {since}"
            since = f"greatest({since}, coalesce(spell.since, {since}))"
            until = f"least({until}, coalesce(spell.until, {until}))"
    return (
        f"SELECT {index} AS rule, {token} AS token_text, {place} AS place, {cap} AS cap,"
        f" CAST(seen.account_id AS VARCHAR) AS account_id, {since} AS seen_at, {until} AS ended_at"
        f" FROM \"{source.table}\" AS seen{join} WHERE trim({token}) <> '' AND {place} IS NOT NULL"
    )


DAY_MARK = " on "
"""Stands between the goods and the day in the token of what is bought together."""


def placed_table(index: int) -> str:
    """Name the temporary table of the orders at shared places, for the rule of that number."""
    return f"{_PLACED}_{index}"


def make_placed(index: int, rule: TogetherRule, columns: dict[str, frozenset[str]]) -> str:
    """Find the orders at places that several accounts share, each with the instant from which its place is a hub."""
    ended = "superseded_at" if "superseded_at" in columns["orders"] else "CAST(NULL AS TIMESTAMP)"
    place, join = f'CAST(orders."{rule.column}" AS VARCHAR)', ""
    if rule.is_address and PLACES in columns:
        place, join = f"coalesce(named.place, {place})", f" LEFT JOIN {PLACES} AS named ON named.address_id = {place}"
    public, public_join = str(OPEN_END), ""
    if rule.public_classes and {"ip_tok", "ip_class"} <= columns.get("logins", frozenset()):
        classes = ", ".join(f"'{name}'" for name in rule.public_classes)
        public = f"coalesce(min(public_at), {OPEN_END})"
        public_join = (
            f" LEFT JOIN (SELECT CAST(ip_tok AS VARCHAR) AS place, epoch_us(min(visible_at)) AS public_at FROM logins"
            f" WHERE ip_class IN ({classes}) GROUP BY ip_tok) USING (place)"
        )
    return f"""
CREATE OR REPLACE TEMP TABLE {placed_table(index)} AS
WITH placed AS (
    SELECT CAST(order_id AS VARCHAR) AS order_id, CAST(account_id AS VARCHAR) AS account_id,
        CAST(CAST(ordered_at AS DATE) AS VARCHAR) AS day, {place} AS place, epoch_us(visible_at) AS since,
        coalesce(epoch_us({ended}), {OPEN_END}) AS until
    FROM orders{join} WHERE trim({place}) <> '' AND account_id IS NOT NULL AND ordered_at IS NOT NULL),
comers AS (
    SELECT place, account_id, min(since) AS came_at FROM placed WHERE since < until GROUP BY place, account_id
    QUALIFY count(*) OVER (PARTITION BY place) >= 2),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY place ORDER BY came_at, account_id) AS came_as FROM comers),
hubs AS (
    SELECT place, least(coalesce(min(came_at) FILTER (came_as = {rule.cap + 1}), {OPEN_END}), {public}) AS hub_at
    FROM ranked{public_join} GROUP BY place)
SELECT placed.* REPLACE (least(until, hub_at) AS until) FROM placed JOIN hubs USING (place) WHERE since < hub_at
"""


def together_select(index: int, rule: TogetherRule, columns: dict[str, frozenset[str]]) -> str:
    """Select what was bought at shared places: the goods with the day are the token, bound to the place."""
    ended = "line.superseded_at" if "superseded_at" in columns["order_lines"] else "CAST(NULL AS TIMESTAMP)"
    return (
        f"SELECT {index} AS rule, CAST(line.sku_id AS VARCHAR) || '{DAY_MARK}' || placed.day AS token_text,"
        f" placed.place AS place, {rule.cap} AS cap, placed.account_id AS account_id,"
        f" greatest(epoch_us(line.visible_at), placed.since) AS seen_at,"
        f" least(coalesce(epoch_us({ended}), {OPEN_END}), placed.until) AS ended_at"
        f" FROM order_lines AS line JOIN {placed_table(index)} AS placed"
        f" ON placed.order_id = CAST(line.order_id AS VARCHAR) WHERE line.sku_id IS NOT NULL"
    )


def make_earliest(selects: Selects, *, has_address_kinds: bool) -> str:
    """Keep, for each account and token, the earliest of the sightings that end together: the others add nothing."""
    spell = f"""
WITH spell AS (
    SELECT CAST(address_id AS VARCHAR) AS address_id, kind, epoch_us(visible_at) AS since,
        coalesce(epoch_us(superseded_at), {OPEN_END}) AS until FROM addresses
    UNION ALL SELECT CAST(address_id AS VARCHAR), NULL, 0, epoch_us(min(visible_at)) FROM addresses
    GROUP BY address_id HAVING epoch_us(min(visible_at)) > 0)"""
    return f"""
CREATE OR REPLACE TEMP TABLE {_EARLIEST} AS {spell if has_address_kinds else ""}
SELECT rule, token_text, place, cap, account_id, ended_at, min(seen_at) AS seen_at
FROM ({" UNION ALL ".join(select for of_rule in selects for select in of_rule)})
WHERE cap >= 2 AND seen_at < ended_at AND account_id IS NOT NULL
GROUP BY rule, token_text, place, cap, account_id, ended_at
"""


MAKE_TOKENS = f"""
CREATE OR REPLACE TEMP TABLE {_TOKENS} AS
SELECT *, row_number() OVER (ORDER BY rule, token_text, place, cap) - 1 AS token
FROM (SELECT rule, token_text, place, cap FROM {_EARLIEST} GROUP BY ALL HAVING min(account_id) <> max(account_id))
"""

READ_TOKENS = f"SELECT rule, token_text, place FROM {_TOKENS} ORDER BY token"

READ_HUBS = f"""
SELECT rule, token_text, place, count(DISTINCT account) AS accounts FROM {_SIGHTINGS} JOIN {_TOKENS} USING (rule, token)
GROUP BY rule, token_text, place HAVING count(DISTINCT account) > max({_SIGHTINGS}.cap)
ORDER BY accounts DESC, rule, token_text, place LIMIT 20
"""
"""The tokens that most accounts share, of those that are hubs by now."""

MAKE_SIGHTINGS = f"""
CREATE OR REPLACE TEMP TABLE {_SIGHTINGS} AS
SELECT token, rule, cap, account, seen_at, ended_at
FROM {_EARLIEST} JOIN {_TOKENS} USING (rule, token_text, place, cap) JOIN {_ACCOUNTS} USING (account_id)
"""


def read_spans(rules: LinkRules, selects: Selects) -> str:
    """Join the sightings that count into spans, and leave out those who came after a token had become a hub.

    A span of a token with an account is the union of the spans of the rows that show it: a row that is replaced by a
    version with the same token leaves no gap. A token is a hub from the instant at which its (cap + 1)-th account was
    seen, for good: whoever leaves it later does not make it private again.
    """
    habits = [index for index, rule in enumerate(rules.rules) if rule.habit and selects[index]]
    counting = f"SELECT token, account, seen_at, ended_at FROM {_SIGHTINGS}"
    if habits:
        counting += f" WHERE rule NOT IN ({', '.join(map(str, habits))}) UNION ALL ({_habits(habits, rules, selects)})"
    return f"""
WITH comers AS (
    SELECT token, cap, account, min(seen_at) AS came_at FROM {_SIGHTINGS} GROUP BY token, cap, account),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY token ORDER BY came_at, account) AS came_as FROM comers),
hubs AS (
    SELECT token, came_at AS hub_at FROM ranked WHERE came_as = cap + 1),
early AS (
    SELECT * FROM ({counting}) SEMI JOIN (SELECT * FROM ranked WHERE came_as <= cap) USING (token, account)),
reach AS (
    SELECT *, max(ended_at) OVER (
        PARTITION BY token, account ORDER BY seen_at, ended_at
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_until
    FROM early),
numbered AS (
    SELECT *, count(*) FILTER (covered_until IS NULL OR seen_at > covered_until) OVER (
        PARTITION BY token, account ORDER BY seen_at, ended_at
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS span
    FROM reach)
SELECT token, account, min(seen_at) AS seen_at, max(ended_at) AS ended_at,
    coalesce(any_value(hub_at), {OPEN_END}) AS hub_at
FROM numbered LEFT JOIN hubs USING (token)
GROUP BY token, account, span
ORDER BY token, account, seen_at
"""


def _habits(habits: list[int], rules: LinkRules, selects: Selects) -> str:
    """Turn the sightings of habit kinds into the spans in which a shared token is a habit of an account.

    Every row counts one use from its start to its end, so that a row and its next version count once. Tokens that are
    shared with nobody are one NULL token here: they count towards all uses.
    """
    terms = ", ".join(
        f"({index}, {habit.least_uses}, {habit.least_share_percent})"
        for index in habits
        if (habit := rules.rules[index].habit)
    )
    rows = " UNION ALL ".join(select for index in habits for select in selects[index])
    return f"""
WITH term (rule, least_uses, least_share_percent) AS (VALUES {terms}),
uses AS MATERIALIZED (
    SELECT rule, account, token, seen_at, ended_at
    FROM ({rows}) JOIN {_ACCOUNTS} USING (account_id) LEFT JOIN {_TOKENS} USING (rule, token_text, place, cap)
    SEMI JOIN {_SIGHTINGS} USING (rule, account)
    WHERE seen_at < ended_at),
wanted AS (
    SELECT rule, account, token FROM uses JOIN term USING (rule)
    WHERE token IS NOT NULL GROUP BY rule, account, token, least_uses HAVING count(*) >= least_uses),
changes AS (
    SELECT rule, account, token, changed_at, sum(delta) AS delta
    FROM (SELECT rule, account, token, seen_at AS changed_at, 1 AS delta FROM uses
          UNION ALL SELECT rule, account, token, ended_at, -1 FROM uses WHERE ended_at < {OPEN_END})
    GROUP BY rule, account, token, changed_at),
totals AS (
    SELECT rule, account, changed_at,
        sum(sum(delta)) OVER (PARTITION BY rule, account ORDER BY changed_at) AS uses_of_any
    FROM changes GROUP BY rule, account, changed_at),
counted AS (
    SELECT rule, account, token, changed_at AS seen_at, uses_of_any,
        lead(changed_at, 1, {OPEN_END}) OVER in_time AS ended_at, sum(coalesce(delta, 0)) OVER in_time AS uses_of_it
    FROM wanted JOIN totals USING (rule, account) LEFT JOIN changes USING (rule, account, token, changed_at)
    WINDOW in_time AS (PARTITION BY token, account ORDER BY changed_at))
SELECT token, account, seen_at, ended_at
FROM counted JOIN term USING (rule)
WHERE uses_of_it >= least_uses AND 100 * uses_of_it >= least_share_percent * uses_of_any
"""
