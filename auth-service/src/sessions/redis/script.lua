-- One step on the sessions of one user, atomic and by the clock of Redis.
--
-- KEYS[1]  the user's index: a sorted set of session ids, each scored by when it ends if it is not used
-- ARGV     the step, milliseconds to add to the clock (0 outside tests), and the arguments of the step
--
-- The record of a session is the hash KEYS[1] .. ':' .. id, in the same slot as the index. A session is alive while it
-- has both and its time has not come: so what "end all" cannot find cannot be advanced either. Keys carry a time to
-- live only so that nothing is left behind.
--
-- Every answer of a step is promised to outlive a fail-over, so "repeated" writes, too: the advance that it repeats may
-- have been another connection's, which no replica has acknowledged yet, and only what this one wrote can be waited for.
--
-- The first write of a step is the one that a full Redis refuses, if any is: a step happens as a whole or not at all.

local index, skew = KEYS[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + skew

local FIRST_GENERATION = 1
local NUMBERS = {'generation', 'opened_at', 'advanced_at', 'idle_ends_at', 'ends_at'}

local function record(id)
  return index .. ':' .. id
end

-- Lua would write a large number as 1e+15.
local function text(number)
  return string.format('%.0f', number)
end

local function drop(id)
  redis.call('DEL', record(id))
  redis.call('ZREM', index, id)
end

-- The numbers of the session, if it is alive; else nil, and the reply where it cannot be told. What is left of a dead
-- one is removed.
local function find(id)
  if redis.call('EXISTS', record(id)) == 0 or not redis.call('ZSCORE', index, id) then
    drop(id)
    return nil
  end
  local session = {}
  for i, value in ipairs(redis.call('HMGET', record(id), unpack(NUMBERS))) do
    if not (value and value:match('^%d+$')) then
      return nil, redis.error_reply('CORRUPT ' .. NUMBERS[i] .. ' of session ' .. id)
    end
    session[NUMBERS[i]] = tonumber(value)
  end
  if session.idle_ends_at <= now then
    drop(id)
    return nil
  end
  return session
end

-- Keys live as long as the session. Also what a step writes that changes nothing: even a full Redis takes it.
local function keep(id, session)
  redis.call('PEXPIREAT', record(id), text(session.idle_ends_at - skew))
end

local function save(id, session)
  local values = {}
  for _, name in ipairs(NUMBERS) do
    table.insert(values, name)
    table.insert(values, text(session[name]))
  end
  redis.call('HSET', record(id), unpack(values))
  keep(id, session)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
  redis.call('ZADD', index, text(session.idle_ends_at), id)
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', index, text(last - skew))
end

local function reply(id)
  local values = redis.call('HMGET', record(id), 'user_agent', 'address', unpack(NUMBERS))
  table.insert(values, 1, id)
  return values
end

local steps = {}

function steps.open(id, ttl, max_age, user_agent, address)
  redis.call('HSET', record(id), 'user_agent', user_agent, 'address', address)
  save(id, {
    generation = FIRST_GENERATION,
    opened_at = now,
    advanced_at = now,
    idle_ends_at = now + math.min(ttl, max_age),
    ends_at = now + max_age,
  })
  return reply(id)
end

-- Generations are compared as text: a number from a token may be larger than Lua can tell from its neighbours.
function steps.advance(id, presented, ttl, grace)
  local session, corrupt = find(id)
  if not session then
    return corrupt or {'gone', false}
  end
  if presented == text(session.generation) then
    session.generation = session.generation + 1
    session.advanced_at = now
    session.idle_ends_at = math.min(now + ttl, session.ends_at)
    save(id, session)
    return {'advanced', reply(id)}
  end
  local one_behind = session.generation > FIRST_GENERATION and presented == text(session.generation - 1)
  if one_behind and tonumber(grace) > 0 and now - session.advanced_at <= tonumber(grace) then
    keep(id, session)
    return {'repeated', reply(id)}
  end
  drop(id)
  return {'replayed', false}
end

steps['end'] = function(id)
  local session = find(id)
  drop(id)
  return session and 1 or 0
end

function steps.end_all(except)
  local alive = 0
  for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    if id ~= except then
      alive = alive + steps['end'](id)
    end
  end
  return alive
end

function steps.list()
  local sessions = {}
  for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    local session, corrupt = find(id)
    if corrupt then
      return corrupt
    end
    if session then
      table.insert(sessions, reply(id))
    end
  end
  return sessions
end

return steps[ARGV[1]](unpack(ARGV, 3))
