"""Tasks of which one counts for all its equals: whose a key is lies on the server, and decides in the step that stores.

Comes from ``_redis_compose``, goes to a link; what is freed comes from a listener.
"""

from __future__ import annotations

from functools import lru_cache

from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Call, Script
from typeddingo.broker import Parcel
from typeddingo.brokers._redis_scripts import FULL
from typeddingo.message import Meta

__all__ = ["freed", "freed_of", "if_first"]


def if_first(keys: NativeKeys, store: Call, parcel: Parcel) -> Call:
    """``store``, which stores this task alone, unless its key is another one's: then the answer is that one's id."""
    meta, terms = parcel.meta, parcel.terms
    milliseconds = max(1, round(terms.unique_for * 1000))
    key = keys.unique(meta.name, terms.unique)
    return Call(
        _script(store.script),
        [*store.keys, key, keys.unique_of(meta.name, meta.id)],
        [*store.arguments, meta.id, milliseconds],
    )


def freed(keys: NativeKeys, meta: Meta, key: str) -> Call:
    """The key is nobody's, if it was this task's."""
    return Call(_FREE, [keys.unique(meta.name, key)], [meta.id])


def freed_of(keys: NativeKeys, meta: Meta) -> Call:
    """As ``freed``, whatever its key is, if it has one."""
    return Call(_FREE_OF, [keys.unique_of(meta.name, meta.id)], [meta.id])


@lru_cache
def _script(store: Script) -> Script:
    body = store.text.partition("\n")[2]
    return Script(f"""
local function store(KEYS, ARGV)
{body}
end
-- KEYS: as above, the key of its equals, and where that is noted. ARGV: as above, and the id of the task, milliseconds
local keys, given = {{unpack(KEYS)}}, {{unpack(ARGV)}}
local note, key = table.remove(keys), table.remove(keys)
local milliseconds, id = table.remove(given), table.remove(given)
local first = redis.call('SET', key, id, 'NX', 'GET', 'PX', milliseconds)
if first and first ~= id then return first end
local worked, stored = pcall(store, keys, given)
if worked and stored ~= {FULL} then redis.call('SET', note, key, 'PX', milliseconds)
elseif not first then redis.call('DEL', key) end
if not worked then return redis.error_reply(type(stored) == 'table' and stored.err or tostring(stored)) end
return stored
""")


_FREE_OF = Script(
    """
-- KEYS: where its key is noted. ARGV: the id of the task
local key = redis.call('GET', KEYS[1])
if key and redis.call('GET', key) == ARGV[1] then return redis.call('DEL', key, KEYS[1]) end
return 0
""",
    always=True,
)

_FREE = Script(
    """
-- KEYS: the key of its equals. ARGV: the id of the task
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""",
    always=True,
)
