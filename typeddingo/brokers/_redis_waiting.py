"""Tasks that wait beside the stream, as functions for the server's scripts. Used by ``_redis_scripts``.

A stream knows only one order. What is not due yet lies in the sorted set ``later``, by when it is; what overtakes
others lies in ``urgent``, by when a task without priority would have been sent to stand at its place. The fields of
both lie in the hash ``waits``, under the id of the task, where whoever cancels it finds them.
"""

from __future__ import annotations

from typeddingo._io.redis_keys import BESIDE
from typeddingo.urgent import HEAD_START

__all__ = ["FREE", "GROUP", "WAITING"]

GROUP = "workers"
FREE = "free"
AT_ONCE = 500
"""Tasks that one script moves."""

WAITING = (
    BESIDE
    + f"""
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000  -- milliseconds
end

local function field(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1], i + 1 end
  end
end

-- What no worker has taken yet, oldest first. False: the group is not there.
local function untaken(key, count)
  local groups = redis.pcall('XINFO', 'GROUPS', beside(key, 'tasks'))
  for _, group in ipairs(groups.err and {{}} or groups) do
    if field(group, 'name') == '{GROUP}' then
      return redis.call('XRANGE', beside(key, 'tasks'), '(' .. field(group, 'last-delivered-id'), '+', 'COUNT', count)
    end
  end
  return false
end

-- Let it wait in ``what``. Ids may be there twice: some makers of ids count, in many processes. What one script puts
-- there stays in order.
local nth = 0
local function put(key, what, score, id, fields)
  if redis.call('HEXISTS', beside(key, 'waits'), id) == 1 then
    id = id .. '\\n' .. redis.call('INCR', beside(key, 'twins'))
  end
  redis.call('HSET', beside(key, 'waits'), id, cmsgpack.pack(fields))
  redis.call('ZADD', beside(key, what), string.format('%.3f', score + nth / 1000), id)
  nth = nth + 1
end

local function pick(key, what, id)
  local packed = redis.call('HGET', beside(key, 'waits'), id)
  redis.call('ZREM', beside(key, what), id)
  redis.call('HDEL', beside(key, 'waits'), id)
  if redis.call('EXISTS', beside(key, 'waits')) == 0 then redis.call('DEL', beside(key, 'twins')) end
  return packed and cmsgpack.unpack(packed)
end

-- Its turn may come now. Where nothing waits there is nothing to overtake, and somebody may sleep at the stream.
local function store(key, id, fields, time)
  local priority = tonumber(field(fields, 'p') or 0)
  if priority > 0 then
    local others = untaken(key, 1)
    if others and #others > 0 or not others and redis.call('XLEN', beside(key, 'tasks')) > 0 then
      return put(key, 'urgent', time - priority * {HEAD_START * 1000:.0f}, id, fields)
    end
  end
  redis.call('XADD', beside(key, 'tasks'), '*', unpack(fields))
end

-- Move what is due. Returns the milliseconds until the next one is; -1: there is none.
local function promote(key, time)
  local until_now = string.format('%.3f', time)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', beside(key, 'later'), 0, until_now, 'LIMIT', 0, {AT_ONCE})) do
    local fields = pick(key, 'later', id)
    if fields then store(key, string.match(id, '^(.*)\\n%d+$') or id, fields, time) end
  end
  local first = redis.call('ZRANGE', beside(key, 'later'), 0, 0, 'WITHSCORES')
  return first[2] and math.ceil(math.max(0, tonumber(first[2]) - time)) or -1
end

-- Something urgent waits and nothing else does: those who sleep at the stream must see it.
local function rouse(key)
  local others = untaken(key, 1)
  if not others or #others > 0 then return end
  for _, id in ipairs(redis.call('ZRANGE', beside(key, 'urgent'), 0, {AT_ONCE} - 1)) do
    local fields = pick(key, 'urgent', id)
    if fields then redis.call('XADD', beside(key, 'tasks'), '*', unpack(fields)) end
  end
end

-- What a listener must know beside what it takes, as bits: something urgent waits, some was, somebody has cancelled.
local function signs(key)
  return redis.call('EXISTS', beside(key, 'urgent')) + 2 * redis.call('EXISTS', beside(key, 'hurried'))
    + 4 * redis.call('EXISTS', beside(key, 'cancelled'))
end
"""
)
