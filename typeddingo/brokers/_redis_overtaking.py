"""Scripts for tasks that do not simply stand in line: urgent ones and cancelled ones. Used by ``_redis_queue``."""

from __future__ import annotations

from typeddingo._io.redis_link import Script
from typeddingo.brokers._redis_waiting import GROUP, WAITING

__all__ = ["CANCEL", "TAKE_URGENT"]

DAY = 24 * 3600
"""Seconds for which a cancelled task that has not shown up is remembered, after the last one of its name."""
ROOM = 100_000
"""So many are; the oldest go."""
AGAIN = 60
"""Seconds for which who cancels a second time, because he did not hear the answer, hears the same."""

TAKE_URGENT = Script(
    WAITING
    + f"""
-- KEYS: stream. ARGV: owner, how many
local key, count, order = KEYS[1], tonumber(ARGV[2]), {{}}
local first = redis.call('ZRANGE', beside(key, 'urgent'), 0, count - 1, 'WITHSCORES')
if #first == 0 then return {{0}} end
local usual, urgent, others = 0, 0, untaken(key, count) or {{}}
while usual + urgent < count do
  local score, other = tonumber(first[2 * urgent + 2]), others[usual + 1]
  if other and not (score and score < tonumber(string.match(other[1], '^%d+'))) then
    usual = usual + 1
    order[#order + 1] = 0
  elseif score then
    urgent = urgent + 1
    order[#order + 1] = 1
  else break end
end
local function read(stream, many)
  if many == 0 then return {{}} end
  local reply = redis.call('XREADGROUP', 'GROUP', '{GROUP}', ARGV[1], 'COUNT', many, 'STREAMS', stream, '>')
  return reply and reply[1][2] or {{}}
end
local brought = {{[0] = read(key, usual)}}
if urgent > 0 then
  redis.pcall('XGROUP', 'CREATE', beside(key, 'hurried'), '{GROUP}', '0', 'MKSTREAM')
  for i = 1, urgent do
    local fields = pick(key, 'urgent', first[2 * i - 1])
    if fields then redis.call('XADD', beside(key, 'hurried'), '*', unpack(fields)) end
  end
end
brought[1] = read(beside(key, 'hurried'), urgent)
local reply, at = {{redis.call('EXISTS', beside(key, 'urgent'))}}, {{[0] = 0, [1] = 0}}
for _, which in ipairs(order) do
  at[which] = at[which] + 1
  local entry = brought[which][at[which]]
  if entry then reply[#reply + 1] = {{which, entry[1], entry[2]}} end
end
return reply
""",
    always=True,
)
"""Takes new tasks, the urgent ones before those that they overtake. Those lie in a stream of their own from then on: in
that of the others they would come a second time. Returns whether more of them wait, then of each task: 1 for an urgent
one, id, fields."""

CANCEL = Script(
    WAITING
    + f"""
-- KEYS: stream. ARGV: for each task: id, the address of the reports of who cancels it
local key, time, answers, told = KEYS[1], now(), {{}}, false
for i = 1, #ARGV, 2 do
  local id, answer = ARGV[i], 0
  local packed = redis.call('HGET', beside(key, 'waits'), id)
  if packed and redis.call('EXISTS', beside(key, 'twins')) == 0 then
    local fields = cmsgpack.unpack(packed)
    local address = field(fields, 'r') or ''
    redis.call('ZREM', beside(key, 'later'), id)
    redis.call('ZREM', beside(key, 'urgent'), id)
    redis.call('HDEL', beside(key, 'waits'), id)
    if address == '' or address == ARGV[i + 1] then
      answer = 1
      redis.call('SET', beside(key, 'gone:') .. id, 1, 'EX', {AGAIN})
    else redis.call('XADD', key, '*', unpack(fields)) end
  elseif redis.call('EXISTS', beside(key, 'gone:') .. id) == 1 then answer = 1 end
  if answer == 0 then
    redis.call('ZADD', beside(key, 'cancelled'), string.format('%.0f', time), id)
    told = true
  end
  answers[#answers + 1] = answer
end
if told then
  redis.call('ZREMRANGEBYSCORE', beside(key, 'cancelled'), '-inf', string.format('%.0f', time - {DAY * 1000}))
  redis.call('ZREMRANGEBYRANK', beside(key, 'cancelled'), 0, -{ROOM + 1})
  redis.call('EXPIRE', beside(key, 'cancelled'), {DAY})
end
return answers
""",
    always=True,
)
"""Lets tasks not start. Returns for each: 1, it waited beside the stream, is gone, and only the one who asks waits for
its reports; 0: whoever has it or is handed it must know. A task of another caller's is handed out for that at once."""
