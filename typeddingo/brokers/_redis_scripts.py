"""The steps of the native layout that must not be torn apart, as scripts of the server. Used by ``_redis_queue``.

A task is an entry of a stream. The group "workers" knows who holds it (its *owner*) and how often it was handed out.
What is given back belongs to nobody, which is the consumer "free". Every script looks first whether what it is about
to change is still its caller's, so that a worker which was believed dead does no harm when it wakes up.

Fields of an entry: ``b`` the frame, ``r`` the address of its reports, and where they are asked for ``n`` how often it
was retried, ``e`` when it expires (milliseconds), ``p`` its priority, ``d`` how many workers had died with it when it
was put off without having run; of a dead one also ``why`` and ``times``.
"""

from __future__ import annotations

from typeddingo._io.redis_keys import BESIDE
from typeddingo._io.redis_link import Script
from typeddingo._io.redis_rows import CUT
from typeddingo.brokers._redis_waiting import FREE, GROUP, WAITING

__all__ = [
    "CREATE",
    "DIGEST",
    "FULL",
    "CLAIM_FREE",
    "CLAIM_SUSPECT",
    "FREE",
    "GROUP",
    "LEAVE",
    "LENGTH",
    "LOOK",
    "RENEW",
    "SEND",
    "SEND_ON_TERMS",
    "SETTLE",
    "SIGNS",
    "SWEEP_CONSUMERS",
    "TAKE",
]

FULL = -1
"""What a script returns that found no room."""
WINDOW = 600
"""Seconds of one set of sent tasks; the current and the one before it are looked into."""
DEAD_SECONDS = 7 * 24 * 3600
DEAD_ENTRIES = 10_000
MOST = 10_000
"""Entries that one script looks at."""

DIGEST = 12
"""Bytes that stand for a task that was sent."""

_STORE = """
    local call, stream, address, frames = redis.call, KEYS[g], job[4], job[5]
    for _, i in ipairs(job[3]) do
      if address == '' then call('XADD', stream, '*', 'b', frames[i])
      else call('XADD', stream, '*', 'b', frames[i], 'r', address) end
    end
"""

_STORE_ON_TERMS = """
    local time = now()
    for _, i in ipairs(job[3]) do
      local pattern = '^(%d+) (%d+) (%d+) (%d+) (%d+) (.*)$'
      local delay, eta, lifetime, expires, priority, id = string.match(job[6][i], pattern)
      if delay ~= '0' then eta = time + delay end
      if lifetime ~= '0' then expires = string.format('%.0f', time + lifetime) end
      local fields = {'b', job[5][i]}
      for name, value in pairs({r = job[4], e = expires, p = priority}) do
        if value ~= '' and value ~= '0' then fields[#fields + 1] = name; fields[#fields + 1] = value end
      end
      if tonumber(eta) > time then put(KEYS[g], 'later', eta, id, fields) else store(KEYS[g], id, fields, time) end
    end
"""


def _send(functions: str, parts: int, terms: str, store: str) -> Script:
    """``parts``: how many arguments there are for a group."""
    return Script(f"""{CUT}{functions}
-- KEYS: a stream for each group of tasks. ARGV: the bound (0: none), then for each group: what its windows are called,
-- how much room its queue needs, the address of its reports, the digests of its tasks, their frames as a row, and their
-- terms as a row where there are any: milliseconds of delay, eta, lifetime and expiry, priority, id.
local bucket = math.floor(redis.call('TIME')[1] / {WINDOW})
local bound, at, known, jobs = tonumber(ARGV[1]), 2, 0, {{}}
for g = 1, #KEYS do
  local windows, needed, row = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 3]
  local count, digests, seen, fresh = #row / {DIGEST}, {{}}, {{}}, {{}}
  local sub = string.sub
  for i = 1, count do digests[i] = sub(row, {DIGEST} * (i - 1) + 1, {DIGEST} * i) end
  for age = 0, 1 do
    for i, is in ipairs(redis.call('SMISMEMBER', windows .. (bucket - age), unpack(digests))) do
      if is == 1 then seen[digests[i]] = true end
    end
  end
  for i = 1, count do
    if seen[digests[i]] then known = known + 1
    else seen[digests[i]] = true; fresh[#fresh + 1] = i end
  end
  if bound ~= 0 and needed ~= 0 and #fresh == count and length(KEYS[g]) + needed > bound then return {FULL} end
  jobs[g] = {{windows .. bucket, digests, fresh, ARGV[at + 2], cut(ARGV[at + 4], ARGV[at + 5]){terms}}}
  at = at + {parts}
end
for g, job in ipairs(jobs) do
  if #job[3] > 0 then
    if redis.call('SADD', job[1], unpack(job[2])) == redis.call('SCARD', job[1]) then
      redis.call('EXPIRE', job[1], {3 * WINDOW})
    end
{store}
  end
end
return known
""")


LENGTH = """
local function length(key)
  return redis.call('XLEN', key) + redis.call('HLEN', beside(key, 'waits')) + redis.call('XLEN', beside(key, 'hurried'))
end
"""
"""How many tasks lie in the queue of a stream, for its bound."""

SEND = _send(BESIDE + LENGTH, 6, "", _STORE)
"""Stores tasks, each once in ten minutes. Returns how many were there already; -1: there is no room, none is stored."""

SEND_ON_TERMS = _send(WAITING + LENGTH, 8, ", cut(ARGV[at + 6], ARGV[at + 7])", _STORE_ON_TERMS)
"""The same for tasks that do not simply stand in line."""

_BURY = f"""
local function bury(stream, dead, id, why, times)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if entry then
    local fields = entry[2]
    fields[#fields + 1] = 'why'; fields[#fields + 1] = why
    fields[#fields + 1] = 'times'; fields[#fields + 1] = times
    redis.call('XADD', dead, '*', unpack(fields))
    redis.call('XTRIM', dead, 'MAXLEN', '~', {DEAD_ENTRIES})
    redis.call('XTRIM', dead, 'MINID', '~', (redis.call('TIME')[1] - {DEAD_SECONDS}) .. '000')
  end
  return entry
end
"""

_DELIVERED = """
-- How often it was, with what it was before it was put off unfinished.
local function delivered(stream, pending)
  local entry = redis.call('XRANGE', stream, pending[1], pending[1])[1]
  return pending[4] + (entry and field(entry[2], 'd') or 0)
end
"""

_LATER = """
local function set(fields, name, value)
  local _, at = field(fields, name)
  if not at then at = #fields + 2; fields[at - 1] = name end
  fields[at] = tostring(value)
end

local function put_off(stream, id, counts, delay, task, times)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if not entry then return end
  local fields, time = entry[2], now()
  local died = (field(fields, 'd') or 0) + times - 1
  if counts == '1' then
    set(fields, 'n', (field(fields, 'n') or 0) + 1)
    died = 0  -- it has run to its end
  end
  if died > 0 or field(fields, 'd') then set(fields, 'd', died) end
  if delay == '0' then store(stream, task, fields, time) else put(stream, 'later', time + delay, task, fields) end
end
"""

CREATE = Script(
    f"""
-- KEYS: stream
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], '{GROUP}', '0', 'MKSTREAM')
if made.err and string.sub(made.err, 1, 9) ~= 'BUSYGROUP' then return made end
return 1
""",
    always=True,
)
"""Makes a stream and its group, unless they are there; a script, because a full server must let tasks be taken."""

SETTLE = Script(
    f"""{WAITING}{_BURY}{_LATER}
-- KEYS: stream, dead letters. ARGV: owner, the milliseconds of the lowest and of the highest id, the ids of the tasks
-- that are done, then for each other task: id, and 'back', 'later' (does it count as a retry, milliseconds, the id of
-- the task) or why it died
local times, gone, later = {{}}, {{}}, false
local held = redis.pcall('XPENDING', KEYS[1], '{GROUP}', ARGV[2], ARGV[3], {MOST}, ARGV[1])
if held.err then return 0 end
for _, entry in ipairs(held) do times[entry[1]] = entry[4] end
for id in string.gmatch(ARGV[4], '[^ ]+') do
  if times[id] then gone[#gone + 1] = id end
end
for i = 5, #ARGV, 2 do
  local id, what = ARGV[i], ARGV[i + 1]
  if not times[id] then
  elseif what == 'back' then
    redis.call('XCLAIM', KEYS[1], '{GROUP}', '{FREE}', 0, id, 'RETRYCOUNT', math.max(0, times[id] - 1), 'JUSTID')
  else
    local counts, delay, task = string.match(what, '^later (%d) (%d+) (.*)$')
    if counts then put_off(KEYS[1], id, counts, delay, task, times[id])
    else bury(KEYS[1], KEYS[2], id, what, times[id]) end
    later = later or counts
    gone[#gone + 1] = id
  end
end
if #gone > 0 then
  redis.call('XACK', KEYS[1], '{GROUP}', unpack(gone))
  redis.call('XDEL', KEYS[1], unpack(gone))
end
local seen = signs(KEYS[1])
if later or seen > 0 then return {{seen, promote(KEYS[1], now())}} end
return #gone
""",
    always=True,
)
"""Ends tasks, as far as the owner still has them. Returns how many are gone; or the signs, and the milliseconds until
something else is due, -1 for nothing, where there is anything of the kind."""

RENEW = Script(
    f"""
-- KEYS: stream. ARGV: owner, milliseconds after which what it has but does not know of is free, then the ids it knows
local known, mine = {{}}, {{}}
for i = 3, #ARGV do known[ARGV[i]] = true end
local held = redis.pcall('XPENDING', KEYS[1], '{GROUP}', '-', '+', {MOST}, ARGV[1])
if held.err then return mine end
for _, entry in ipairs(held) do
  if known[entry[1]] then mine[#mine + 1] = entry[1]
  elseif entry[3] >= tonumber(ARGV[2]) then
    redis.call('XCLAIM', KEYS[1], '{GROUP}', '{FREE}', 0, entry[1], 'RETRYCOUNT', math.max(0, entry[4] - 1), 'JUSTID')
  end
end
for from = 1, #mine, 1000 do
  redis.call('XCLAIM', KEYS[1], '{GROUP}', ARGV[1], 0, unpack(mine, from, math.min(from + 999, #mine)), 'JUSTID')
end
return mine
""",
    always=True,
)
"""Keeps the lease of tasks. Returns the ids that are still the owner's."""

TAKE = Script(
    f"""
-- KEYS: stream. ARGV: owner, how many
local reply = redis.call('XREADGROUP', 'GROUP', '{GROUP}', ARGV[1], 'COUNT', ARGV[2], 'STREAMS', KEYS[1], '>')
if not reply then return false end
local sizes, parts, others, numbers = {{}}, {{}}, {{}}, struct.pack
for i, entry in ipairs(reply[1][2]) do
  local body, address, fields = '', '', entry[2]
  for f = 1, #fields, 2 do
    if fields[f] == 'b' then body = fields[f + 1] elseif fields[f] == 'r' then address = fields[f + 1]
    elseif fields[f] == 'n' or fields[f] == 'e' then
      others[#others + 1] = i - 1
      others[#others + 1] = fields[f]
      others[#others + 1] = tonumber(fields[f + 1]) or 0
    end
  end
  local at = 3 * i
  parts[at - 2], parts[at - 1], parts[at] = entry[1], address, body
  sizes[i] = numbers('<I4I4I4', #entry[1], #address, #body)
end
if #others > 0 then return {{table.concat(sizes), table.concat(parts), others}} end
return {{table.concat(sizes), table.concat(parts)}}
""",
    always=True,
)
"""Takes new tasks without waiting. Returns id, address and frame of each, all sizes first and then all bytes: a client
reads two strings in a tenth of the time that it needs for the entries of a stream. What few of them have follows:
which, the name of the field, its value."""

CLAIM_FREE = Script(
    f"""
-- KEYS: stream. ARGV: owner, how many
local free = redis.pcall('XPENDING', KEYS[1], '{GROUP}', '-', '+', ARGV[2], '{FREE}')
if free.err or #free == 0 then return {{}} end
local ids, times, got = {{}}, {{}}, {{}}
for i, entry in ipairs(free) do ids[i] = entry[1]; times[entry[1]] = entry[4] + 1 end
for i, entry in ipairs(redis.call('XCLAIM', KEYS[1], '{GROUP}', ARGV[1], 0, unpack(ids))) do
  got[i] = {{entry[1], entry[2], times[entry[1]]}}
end
return got
""",
    always=True,
)
"""Takes tasks that were given back. Returns id, fields and the count of deliveries of each."""

CLAIM_SUSPECT = Script(
    f"""{WAITING}{_DELIVERED}
-- KEYS: stream. ARGV: owner, lease in milliseconds, how many deliveries there may be
local old = redis.pcall('XPENDING', KEYS[1], '{GROUP}', 'IDLE', ARGV[2], '-', '+', 1000)
if old.err then return {{}} end
for _, entry in ipairs(old) do
  if entry[2] ~= '{FREE}' and entry[2] ~= ARGV[1] then
    local times = delivered(KEYS[1], entry)
    local got = times < tonumber(ARGV[3]) and redis.call('XCLAIM', KEYS[1], '{GROUP}', ARGV[1], ARGV[2], entry[1])[1]
    if got then return {{{{got[1], got[2], times + 1}}}} end
  end
end
return {{}}
""",
    always=True,
)
"""Takes one task of a worker that shows no sign of life. Returns as ``CLAIM_FREE``."""

LOOK = Script(
    f"""{WAITING}{_BURY}{_DELIVERED}
-- KEYS: stream, dead letters. ARGV: owner, lease in milliseconds, how many deliveries there may be
local old = redis.pcall('XPENDING', KEYS[1], '{GROUP}', 'IDLE', ARGV[2], '-', '+', 1000)
local suspects, free, buried = 0, 0, {{}}
for _, entry in ipairs(old.err and {{}} or old) do
  if entry[2] ~= '{FREE}' and entry[2] ~= ARGV[1] then
    local times = delivered(KEYS[1], entry)
    if times < tonumber(ARGV[3]) then suspects = suspects + 1
    else
      local gone = bury(KEYS[1], KEYS[2], entry[1], 'its worker died ' .. times .. ' times while it ran', times)
      redis.call('XACK', KEYS[1], '{GROUP}', entry[1])
      redis.call('XDEL', KEYS[1], entry[1])
      if gone then buried[#buried + 1] = string.sub(gone[2][2], 1, 10000) end
    end
  end
end
local due, seen = promote(KEYS[1], now()), signs(KEYS[1])
if seen % 2 == 1 then rouse(KEYS[1]) end
if seen % 4 > 1 then  -- all in there belongs to somebody, unless its group is new
  redis.pcall('XREADGROUP', 'GROUP', '{GROUP}', '{FREE}', 'STREAMS', beside(KEYS[1], 'hurried'), '>')
end
if not old.err then free = #redis.call('XPENDING', KEYS[1], '{GROUP}', '-', '+', 1, '{FREE}') end
return {{free, suspects, seen, due, unpack(buried)}}
""",
    always=True,
)
"""Looks for what others left, puts aside what killed its workers too often, and moves what is due. Returns: is
something free, how many are suspect, the signs, the milliseconds until something else is due (-1: nothing), and how the
frames begin that were put aside."""

SIGNS = Script(WAITING + "return {signs(KEYS[1]), promote(KEYS[1], now())}", always=True)
"""Returns the signs of a stream, and as ``LOOK`` when something is due."""

LEAVE = Script(
    f"""
-- KEYS: stream. ARGV: owner
local held = redis.pcall('XPENDING', KEYS[1], '{GROUP}', '-', '+', 1, ARGV[1])
if held.err or #held > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], '{GROUP}', ARGV[1])
return 1
""",
    always=True,
)
"""A consumer that holds nothing is gone."""

SWEEP_CONSUMERS = Script(
    f"""
-- KEYS: stream. ARGV: owner, milliseconds
local all = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], '{GROUP}')
if all.err then return 0 end
local gone, busy = 0, false
for _, each in ipairs(all) do
  local is = {{}}
  for i = 1, #each, 2 do is[each[i]] = each[i + 1] end
  if is.pending > 0 then busy = busy or is.name == ARGV[1]
  elseif is.name == ARGV[1] or is.idle > tonumber(ARGV[2]) and is.name ~= '{FREE}' then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], '{GROUP}', is.name)
    gone = gone + 1
  end
end
if not busy then redis.call('XGROUP', 'CREATECONSUMER', KEYS[1], '{GROUP}', ARGV[1]) end
return gone
""",
    always=True,
)
"""Consumers of processes that died are gone, once nothing of theirs is left. The owner is made anew: reading in vain is
no sign of life to the server."""
