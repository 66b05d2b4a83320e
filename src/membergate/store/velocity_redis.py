"""Velocity shared by several processes through Redis: the same timelines, kept by two small scripts.

A meter has a list of its latest charges (`INSTANT:WEIGHT`, at most 64) and one packed string of those before: instants
with running totals, in order of event time, thinned like every timeline once there are more than `MOST_ENTRIES`. Both
counting and asking touch one meter in bounded time, however busy it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from membergate.deciding.velocity import WINDOWS, Counts, Happening, Meter
from membergate.deciding.velocity.meters import microseconds
from membergate.deciding.velocity.timeline import BUCKETS, HORIZON, MOST_ENTRIES
from membergate.domain.errors import BadInputError, WorkspaceError

_MOST_FRESH = 64
_KEPT_MS = 2 * HORIZON // 1000
_WIDTHS = "{" + ",".join(f"{{{length},{width}}}" for length, width in BUCKETS) + "}"
_ADD = f"""
local at, now = tonumber(ARGV[1]), tonumber(ARGV[2])
if not redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[3]) then return 0 end
if at <= now - {HORIZON} then return 0 end
local function joined(times, weights, widening)
  local t, w, last = {{}}, {{}}, nil
  for i = 1, #times do
    local age, width = now - times[i], {BUCKETS[-1][1]}
    if age < {HORIZON} then
      for _, tier in ipairs({_WIDTHS}) do
        if age <= tier[1] then width = tier[2] break end
      end
      width = width * widening
      local bucket = width .. ':' .. math.floor(times[i] / width)
      if bucket == last then
        t[#t], w[#w] = times[i], w[#w] + weights[i]
      else
        t[#t + 1], w[#w + 1], last = times[i], weights[i], bucket
      end
    end
  end
  return t, w
end
local function freeze(frozen_key, fresh_key)
  local all, before = {{}}, 0
  local packed = redis.call('GET', frozen_key)
  local frozen = packed and cmsgpack.unpack(packed) or {{}}
  for i = 1, #frozen, 2 do
    all[#all + 1], before = {{frozen[i], frozen[i + 1] - before}}, frozen[i + 1]
  end
  for _, entry in ipairs(redis.call('LRANGE', fresh_key, 0, -1)) do
    local time, weight = string.match(entry, '^(%d+):(%-?%d+)$')
    all[#all + 1] = {{tonumber(time), tonumber(weight)}}
  end
  table.sort(all, function(one, other) return one[1] < other[1] end)
  local times, weights, widening = {{}}, {{}}, 1
  for i, entry in ipairs(all) do times[i], weights[i] = entry[1], entry[2] end
  if #times > {MOST_ENTRIES} then
    local t, w = joined(times, weights, 1)
    while #t > {MOST_ENTRIES * 3 // 4} do
      widening = widening * 2
      t, w = joined(times, weights, widening)
    end
    times, weights = t, w
  end
  local told, total = {{}}, 0
  for i = 1, #times do
    total = total + weights[i]
    told[2 * i - 1], told[2 * i] = times[i], total
  end
  redis.call('SET', frozen_key, cmsgpack.pack(told), 'PX', {_KEPT_MS})
  redis.call('DEL', fresh_key)
end
for i = 4, #ARGV do
  local frozen_key, fresh_key = KEYS[2 * i - 6], KEYS[2 * i - 5]
  if redis.call('RPUSH', fresh_key, ARGV[1] .. ':' .. ARGV[i]) > {_MOST_FRESH} then freeze(frozen_key, fresh_key)
  else redis.call('PEXPIRE', fresh_key, {_KEPT_MS}) end
end
return 1
"""
_COUNT = f"""
local as_of, found = tonumber(ARGV[1]), {{}}
local lengths = {{{",".join(map(str, WINDOWS.values()))}}}
for k = 1, #KEYS, 2 do
  local first = (k - 1) / 2 * #lengths
  local packed = redis.call('GET', KEYS[k])
  local frozen = packed and cmsgpack.unpack(packed) or {{}}
  local function total(until_)
    local low, high = 0, #frozen / 2
    while low < high do
      local middle = math.ceil((low + high) / 2)
      if frozen[2 * middle - 1] <= until_ then low = middle else high = middle - 1 end
    end
    return low == 0 and 0 or frozen[2 * low]
  end
  local whole = total(as_of)
  for i = 1, #lengths do found[first + i] = whole - total(as_of - lengths[i]) end
  for _, entry in ipairs(redis.call('LRANGE', KEYS[k + 1], 0, -1)) do
    local time, weight = string.match(entry, '^(%d+):(%-?%d+)$')
    local age = as_of - tonumber(time)
    for i = #lengths, 1, -1 do
      if age < 0 or age >= lengths[i] then break end
      found[first + i] = found[first + i] + tonumber(weight)
    end
  end
end
return found
"""


class _Script(Protocol):
    def __call__(self, keys: Sequence[str], args: Sequence[Any], client: Any = None) -> Any: ...


class RedisVelocity:
    """Counters in Redis, under the same bound as `VelocityCounters`; any number of processes may share them.

    What Redis loses is lost: after its data were flushed, counts begin anew, and `since` should be set anew with it.

    Parameters
    ----------
    url
        Such as `redis://127.0.0.1:6379/0`.
    since
        From which instant on everything is in Redis; aware. A window that begins earlier is not known.
    prefix
        Begins every key.
    remembered_s
        For how many seconds an event's id is remembered, so that it counts once however often it is delivered.

    Raises
    ------
    BadInputError
        If the extra `redis` is not installed, or the URL cannot be read.
    """

    def __init__(
        self, url: str, since: datetime, *, prefix: str = "{membergate}:velocity:", remembered_s: int = 3_600
    ) -> None:
        self._redis, self._errors = _client(url)
        self._since = microseconds(since)
        self._prefix = prefix
        self._remembered_s = remembered_s
        self._add: _Script = self._redis.register_script(_ADD)
        self._count: _Script = self._redis.register_script(_COUNT)

    def add(self, happenings: Sequence[Happening], now: datetime) -> int:
        """Count happenings, in any order, at one round trip; gives how many were new and not too old.

        Raises
        ------
        WorkspaceError
            If Redis does not answer.
        """
        if not happenings:
            return 0
        present = microseconds(now)
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for happening in happenings:
                    keys = [f"{self._prefix}e:{happening.event_id}"]
                    keys += self._keys([meter for meter, _ in happening.charges])
                    weights = [weight for _, weight in happening.charges]
                    told = (microseconds(happening.at), present, self._remembered_s, *weights)
                    self._add(keys=keys, args=told, client=pipeline)
                return sum(map(int, pipeline.execute()))
        except self._errors as error:
            raise _out_of_reach(error) from error

    def counts(self, meters: Sequence[Meter], as_of: datetime) -> list[Counts]:
        """Give each meter's counts in (as_of - window, as_of]; None for a window that is not wholly known.

        Raises
        ------
        WorkspaceError
            If Redis does not answer.
        """
        if not meters:
            return []
        instant = microseconds(as_of)
        try:
            found = self._count(keys=self._keys(meters), args=[instant])
        except self._errors as error:
            raise _out_of_reach(error) from error
        is_known = [instant - length >= self._since for length in WINDOWS.values()]
        wide = len(is_known)
        return [
            tuple(
                int(count) if known else None
                for count, known in zip(found[place : place + wide], is_known, strict=True)
            )
            for place in range(0, len(found), wide)
        ]

    def close(self) -> None:
        """Give back every connection."""
        self._redis.close()

    def _keys(self, meters: Sequence[Meter]) -> list[str]:
        named = (f"{self._prefix}{meter.activity}:{meter.scope}:{meter.key}" for meter in meters)
        return [key for name in named for key in (name, f"{name}:fresh")]


def _client(url: str) -> tuple[Any, type[Exception]]:
    try:
        import redis  # noqa: PLC0415 - an extra: only who shares counters needs it
    except ModuleNotFoundError:
        raise BadInputError(
            "sharing counters needs a client that is not installed", next_step="pip install 'membergate[redis]'"
        ) from None
    try:
        return redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5), redis.RedisError
    except ValueError as error:
        raise BadInputError(f"cannot read the URL of Redis: {error}", allowed="redis://HOST:PORT/DATABASE") from None


def _out_of_reach(error: Exception) -> WorkspaceError:
    reason = " ".join(str(error).split())
    return WorkspaceError(
        f"the shared counters cannot be used: {reason}", where="Redis", next_step="see that Redis runs and is reachable"
    )
