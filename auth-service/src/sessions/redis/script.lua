-- One step on the sessions of one user, atomic and by the clock of Redis.
--
-- KEYS  first the user's index: a sorted set of session ids, each scored by when it ends if it is not used;
--       then the record of the session that the step is about, if it is about one that may be there;
--       last the list of revocations of the slot, a stream, if the step may end something
-- ARGV  the step, milliseconds to add to the clock (0 outside tests), and the arguments of the step
--
-- The record of a session is the hash KEYS[1] .. ':' .. id, in the same slot as the index. It is named in KEYS so that, while
-- the slot is on its way to another node, no step meets one of the two without the other. A session is alive while it
-- has both and its time has not come: so what "end all" cannot find cannot be advanced either. Two other kinds of members of
-- the index: NOT_BEFORE, scored MARGIN behind the moment from which on the tokens of the user count, and for each session
-- that was unknown when it ended one that begins with ENDED. Keys carry a time to live only so that nothing is left behind.
--
-- Every answer of a step is promised to outlive a fail-over, so "repeated" writes, too: the advance that it repeats may
-- have been another connection's, which no replica has acknowledged yet, and only what this one wrote can be waited for.
--
-- The first write of a step is the one that a full Redis refuses, if any is: a step happens as a whole or not at all. So
-- what ends something begins with a write that frees memory, and is never refused.

local index, list, skew = KEYS[1], KEYS[#KEYS], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + skew

local FIRST_GENERATION = 1
local NUMBERS = {'generation', 'opened_at', 'advanced_at', 'issued_at', 'tokens_end_at', 'idle_ends_at', 'ends_at'}
-- Of the oldest entries of the list, so many are looked at whenever one is added: what is over makes room.
local OLDEST = 8
-- So many arguments are given to a command at once.
local MANY = 1000
local NOT_BEFORE, ENDED = 'not_before', 'ended:'
-- How far the clock of a Redis that takes over may be behind, and no token be dated before a cut-off all the same.
local MARGIN = 10000

local function record(id)
  return index .. ':' .. id
end

-- Lua would write a large number as 1e+15.
local function text(number)
  return string.format('%.0f', number)
end

local function drop(ids)
  for first = 1, #ids, MANY do
    local some, records = {unpack(ids, first, math.min(first + MANY - 1, #ids))}, {}
    for i, id in ipairs(some) do
      records[i] = record(id)
    end
    redis.call('DEL', unpack(records))
    redis.call('ZREM', index, unpack(some))
  end
end

-- The numbers of a session in the index, if it is alive; else nil, and the reply where it cannot be told. It may have a record
-- that is still on its way here: so what seems dead is left to its time.
local function read(id)
  local values, session = redis.call('HMGET', record(id), unpack(NUMBERS)), {}
  for i, name in ipairs(NUMBERS) do
    local value = values[i]
    if value and value:match('^%d+$') then
      session[name] = tonumber(value)
    elseif redis.call('EXISTS', record(id)) == 0 then
      return nil
    else
      return nil, redis.error_reply('CORRUPT ' .. name .. ' of session ' .. id)
    end
  end
  if session.idle_ends_at > now then
    return session
  end
end

-- The same of the session that the step is about. What is left of a dead one is removed.
local function find(id)
  local session, corrupt
  if redis.call('ZSCORE', index, id) then
    session, corrupt = read(id)
  end
  if not session and not corrupt then
    drop({id})
  end
  return session, corrupt
end

-- Keys live as long as the session. Also what a step writes that changes nothing: even a full Redis takes it.
local function live_on(id, session)
  redis.call('PEXPIREAT', record(id), text(session.idle_ends_at - skew))
end

local function expire_index()
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
  if last then
    redis.call('PEXPIREAT', index, text(last - skew))
  end
end

local function keep_in_index(member, ends_at)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
  redis.call('ZADD', index, text(ends_at), member)
  expire_index()
end

local function save(id, session)
  local values = {}
  for _, name in ipairs(NUMBERS) do
    table.insert(values, name)
    table.insert(values, text(session[name]))
  end
  redis.call('HSET', record(id), unpack(values))
  live_on(id, session)
  keep_in_index(id, session.idle_ends_at)
end

-- From when on the tokens of the user count, if that is near.
local function not_before()
  return (redis.call('ZSCORE', index, NOT_BEFORE) or MARGIN) - MARGIN
end

-- Dates the token that is issued now: not before the cut-off, nor before the one that the session had, unless that was dated
-- by a clock that was wrong.
local function issue(session, keep)
  local last = session.issued_at or 0
  session.issued_at = math.max(now, not_before(), last <= now + MARGIN and last or 0)
  session.tokens_end_at = math.max(session.tokens_end_at or 0, session.issued_at + keep)
end

-- The sessions in the index, less those whose time is over.
local function ids()
  local ids = {}
  for _, member in ipairs(redis.call('ZRANGE', index, '(' .. text(now), '+inf', 'BYSCORE')) do
    if member ~= NOT_BEFORE and member:sub(1, #ENDED) ~= ENDED then
      table.insert(ids, member)
    end
  end
  return ids
end

-- Adds to the list what verifiers have to know until then.
local function revoke(until_ms, ...)
  for _, entry in ipairs(redis.call('XRANGE', list, '-', '+', 'COUNT', OLDEST)) do
    local fields = entry[2]
    if fields[#fields] * 1000 > now - skew then
      break
    end
    redis.call('XDEL', list, entry[1])
  end
  local seconds = math.ceil(until_ms / 1000)
  local entry = {...}
  table.insert(entry, 'until')
  table.insert(entry, text(seconds))
  redis.call('XADD', list, '*', unpack(entry))
  redis.call('PEXPIREAT', list, text(math.max(redis.call('PEXPIRETIME', list), seconds * 1000 - skew)))
end

-- Ends a session that is there, whatever is left of it.
local function finish(id, session, keep)
  drop({id})
  revoke(session and session.tokens_end_at or now + keep, 'sid', id)
end

-- All sessions by their id, false where one cannot be told; and the ids whose record is not here, or not yet.
local function all()
  local sessions, missing = {}, {}
  for _, id in ipairs(ids()) do
    local session, corrupt = read(id)
    if session or corrupt then
      sessions[id] = session or false
    else
      table.insert(missing, id)
    end
  end
  return sessions, missing
end

-- Cuts off all tokens that were issued so far, where the session "except" goes on, or all do: since when, and until when they
-- live. Tokens count whole seconds: see revocations.rs.
local function cut_off(user, keep, goes_on, sessions, missing)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
  local newest, last, known = now, 0, not_before()
  for id, session in pairs(sessions) do
    if session then
      last = math.max(last, session.tokens_end_at)
      if goes_on == '*' or goes_on == id then
        newest = math.max(newest, session.issued_at)
      end
    end
  end
  if #missing > 0 then
    newest = math.max(newest, known)
  end
  local from = (math.floor(newest / 1000) + 1) * 1000
  if from <= known then
    return known
  end
  keep_in_index(NOT_BEFORE, from + MARGIN)
  revoke(math.max(from + keep, last), 'sub', user, 'not_before', text(from / 1000))
  return from
end

local function reply(id)
  local values = redis.call('HMGET', record(id), 'user_agent', 'address', unpack(NUMBERS))
  table.insert(values, 1, id)
  table.insert(values, text(now))
  return values
end

local steps = {}

function steps.open(id, ttl, max_age, user_agent, address, keep)
  redis.call('HSET', record(id), 'user_agent', user_agent, 'address', address)
  local session = {
    generation = FIRST_GENERATION,
    opened_at = now,
    advanced_at = now,
    idle_ends_at = now + math.min(ttl, max_age),
    ends_at = now + max_age,
  }
  issue(session, keep)
  save(id, session)
  return reply(id)
end

-- Generations are compared as text: a number from a token may be larger than Lua can tell from its neighbours.
-- "replay" is the answer where the step would have to end the session: nothing happened.
function steps.advance(id, presented, ttl, grace, keep)
  local session, corrupt = find(id)
  if not session then
    return corrupt or {'gone', false}
  end
  if presented == text(session.generation) then
    session.generation = session.generation + 1
    session.advanced_at = now
    issue(session, keep)
    session.idle_ends_at = math.min(now + ttl, session.ends_at)
    save(id, session)
    return {'advanced', reply(id)}
  end
  local one_behind = session.generation > FIRST_GENERATION and presented == text(session.generation - 1)
  if one_behind and tonumber(grace) > 0 and now - session.advanced_at <= tonumber(grace) then
    live_on(id, session)
    issue(session, keep)
    redis.call('HSET', record(id), 'issued_at', text(session.issued_at), 'tokens_end_at', text(session.tokens_end_at))
    return {'repeated', reply(id)}
  end
  return {'replay', false}
end

-- The same, where a replay ends the session.
function steps.advance_or_end(id, presented, ttl, grace, keep)
  local done = steps.advance(id, presented, ttl, grace, keep)
  if done[1] ~= 'replay' then
    return done
  end
  finish(id, find(id), keep)
  return {'replayed', false}
end

steps['end'] = function(id, keep)
  local session, corrupt = find(id)
  if session or corrupt then
    finish(id, session, keep)
  end
  return session and 1 or 0
end

-- Of a session that is not there any more; told once.
function steps.end_forgotten(id, keep)
  if redis.call('ZSCORE', index, id) then
    return 0
  end
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
  local tokens_end_at = now + tonumber(keep)
  if not redis.call('ZSCORE', index, ENDED .. id) then
    keep_in_index(ENDED .. id, tokens_end_at)
    revoke(tokens_end_at, 'sid', id)
  end
  return 0
end

-- Nobody has to be told of a session whose tokens the cut-off has cut off already: the newest, and any that was dated by a
-- clock that was ahead. A record that comes later finds that its session has no place in the index any more.
function steps.end_all(user, except, keep)
  local sessions, missing = all()
  local from, alive, ended = cut_off(user, keep, except, sessions, missing), 0, {}
  for id, session in pairs(sessions) do
    if id ~= except then
      table.insert(ended, id)
      alive = alive + (session and 1 or 0)
    end
  end
  drop(ended)
  for _, id in ipairs(ended) do
    local session = sessions[id]
    if not session or math.max(session.issued_at, session.tokens_end_at - keep) >= from then
      revoke(session and session.tokens_end_at or now + keep, 'sid', id)
    end
  end
  for _, id in ipairs(missing) do
    if id ~= except then
      redis.call('ZREM', index, id)
      revoke(now + keep, 'sid', id)
    end
  end
  expire_index()
  return alive
end

function steps.cut_off(user, keep)
  cut_off(user, keep, '*', all())
  return 0
end

function steps.list()
  local sessions = {}
  for _, id in ipairs(ids()) do
    local session, corrupt = read(id)
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
