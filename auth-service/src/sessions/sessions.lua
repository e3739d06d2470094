-- One step on the sessions of one user, atomic and by the clock of Redis.
--
-- KEYS  first the user's index: a sorted set of session ids, each scored by when it ends if it is not used;
--       then the record of the session that the step is about, if it is about one that may be there;
--       last the list of revocations of the slot, a stream, if the step may end something
-- ARGV  the step, milliseconds to add to the clock (0 outside tests), the user, how long behind its date a token is listed, how
--       many sessions of a user live at most, and the arguments of the step
--
-- The record of a session is the hash KEYS[1] .. ':' .. id, in the same slot as the index. It is named in KEYS so that, while
-- the slot is on its way to another node, no step meets one of the two without the other. A session is alive while it
-- has both and its time has not come: so to take the index away is the end of all, whatever their number. Two other kinds of
-- members of the index: NOT_BEFORE, scored MARGIN behind the moment from which on the tokens of the user count, and for each
-- session that was unknown when it ended one that begins with ENDED. Keys carry a time to live only so that nothing is left
-- behind.
--
-- No step looks at more than WINDOW sessions. An index that an older version wrote may hold more.
--
-- Every answer of a step is promised to outlive a fail-over, so "retried" writes, too: the rotation that it repeats may
-- have been another connection's, which no replica has acknowledged yet, and only what this one wrote can be waited for.
--
-- The first write of a step is the one that a full Redis refuses, if any is: a step happens as a whole or not at all. So
-- what ends something begins with a write that frees memory, and is never refused.

local index, list = KEYS[1], KEYS[#KEYS]
local skew, user, keep = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + skew

local FIRST_GENERATION = 1
local NUMBERS = {'generation', 'opened_at', 'advanced_at', 'issued_at', 'tokens_end_at', 'idle_ends_at', 'ends_at'}
-- How many sessions of a user live at most, and at how many a step looks.
local MOST = tonumber(ARGV[5])
local WINDOW = MOST + 100
-- Of the oldest entries of the list, so many are looked at whenever one is added: what is over makes room.
local OLDEST = 8
-- How long an entry stays that cannot be read, in seconds.
local DAY = 86400
-- Of the newest entries of the list, so many are searched for a cut-off that has to be corrected.
local NEWEST = 1000
local NOT_BEFORE, ENDED = 'not_before', 'ended:'
-- How far the clock of a Redis that takes over may be behind, and no token be dated before a cut-off all the same. What lies further
-- ahead is the work of a clock that was wrong.
local MARGIN = 10000
-- As what such a cut-off is taken: now and shared_claims::LEEWAY, in whole seconds.
local latest = math.floor(now / 1000) * 1000 + 5000

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
    drop(id)
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

-- Takes what is over out of the index: a write that frees memory, also where nothing is.
local function prune()
  local over = redis.call('ZRANGE', index, '-inf', text(now), 'BYSCORE', 'LIMIT', 0, WINDOW)
  redis.call('ZREM', index, '', unpack(over))
end

local function keep_in_index(member, ends_at)
  prune()
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
local function issue(session)
  local last = session.issued_at or 0
  session.issued_at = math.max(now, not_before(), last <= now + MARGIN and last or 0)
  session.tokens_end_at = math.max(session.tokens_end_at or 0, session.issued_at + keep)
end

-- The sessions of the index that were used last, as {id, numbers}: the numbers are false where they cannot be told, and nil where
-- the record is not here, or not yet.
local function window()
  local sessions = {}
  local members = redis.call('ZRANGE', index, '+inf', '(' .. text(now), 'BYSCORE', 'REV', 'LIMIT', 0, WINDOW)
  for _, member in ipairs(members) do
    if member ~= NOT_BEFORE and member:sub(1, #ENDED) ~= ENDED then
      local numbers, corrupt = read(member)
      table.insert(sessions, {id = member, numbers = numbers or (corrupt and false)})
    end
  end
  return sessions
end

-- Adds to the list what verifiers have to know until then. The list stays where all of it is over: a new one might give positions
-- again, by a clock that was set back.
local function revoke(until_ms, ...)
  for _, entry in ipairs(redis.call('XRANGE', list, '-', '+', 'COUNT', OLDEST)) do
    local ends_at = tonumber(entry[2][#entry[2]]) or entry[1]:match('^%d+') / 1000 + DAY
    if ends_at * 1000 <= now - skew then
      redis.call('XDEL', list, entry[1])
    end
  end
  local entry = {...}
  table.insert(entry, 'until')
  table.insert(entry, text(math.ceil(until_ms / 1000)))
  redis.call('XADD', list, '*', unpack(entry))
  redis.call('PERSIST', list)
end

-- Ends a session that is there, whatever is left of it.
local function finish(id, session)
  drop(id)
  revoke(session and session.tokens_end_at or now + keep, 'sid', id)
end

local function revoke_before(from, until_ms)
  keep_in_index(NOT_BEFORE, from + MARGIN)
  revoke(until_ms, 'sub', user, 'not_before', text(from / 1000))
end

-- Whether the cut-off is the work of a clock that was ahead.
local function is_ahead()
  return not_before() > now + MARGIN
end

-- Takes such a cut-off as now plus the leeway, here and in the list.
local function correct_not_before()
  if not is_ahead() then
    return
  end
  for _, entry in ipairs(redis.call('XREVRANGE', list, '+', '-', 'COUNT', NEWEST)) do
    local fields = entry[2]
    if fields[1] == 'sub' and fields[2] == user and (tonumber(fields[4]) or 0) * 1000 > latest then
      redis.call('XDEL', list, entry[1])
    end
  end
  revoke_before(latest, latest + keep)
end

-- Cuts off all tokens that were issued so far, where these of the sessions go on, or all do: since when, and until when they
-- live. Tokens count whole seconds: see revocations/mod.rs.
local function revoke_tokens(sessions, kept)
  prune()
  correct_not_before()
  local newest, last, known = now, 0, not_before()
  for _, session in ipairs(sessions) do
    local numbers, stays = session.numbers, not kept or kept[session.id]
    if numbers then
      last = math.max(last, numbers.tokens_end_at)
      newest = math.max(newest, stays and numbers.issued_at <= now + MARGIN and numbers.issued_at or 0)
    elseif numbers == nil then
      newest = math.max(newest, known)
    end
  end
  local from = (math.floor(newest / 1000) + 1) * 1000
  if from <= known then
    return known
  end
  revoke_before(from, math.max(from + keep, last))
  return from
end

-- Ends all sessions but these ids, and cuts off all tokens that were issued so far: how many were alive, of those at which it
-- looked. Verifiers are told of a session only where the cut-off does not say it: the newest, and any that was dated by a clock
-- that was ahead. A record that comes later finds that its session has no place in the index any more.
local function end_all_but(ids)
  local sessions, kept, places, alive = window(), {}, {}, 0
  local known = redis.call('ZSCORE', index, NOT_BEFORE)
  if known then
    places = {known, NOT_BEFORE}
  end
  for _, id in ipairs(ids) do
    local place = redis.call('ZSCORE', index, id)
    if place and tonumber(place) > now then
      kept[id] = true
      table.insert(places, place)
      table.insert(places, id)
    end
  end
  redis.call('UNLINK', index)
  if #places > 0 then
    redis.call('ZADD', index, unpack(places))
  end
  local from = revoke_tokens(sessions, kept)
  for _, session in ipairs(sessions) do
    local numbers = session.numbers
    if not kept[session.id] then
      alive = alive + (numbers and 1 or 0)
      redis.call('UNLINK', record(session.id))
      if not numbers or math.max(numbers.issued_at, numbers.tokens_end_at - keep) >= from then
        revoke(numbers and numbers.tokens_end_at or now + keep, 'sid', session.id)
      end
    end
  end
  expire_index()
  return alive
end

-- Ends what was unused longest, until there is room for one session more.
local function make_room()
  local count = redis.call('ZCOUNT', index, '(' .. text(now), '+inf')
  if count < MOST then
    return
  end
  local function used_at(session)
    return session.numbers and session.numbers.advanced_at or 0
  end
  local sessions = window()
  table.sort(sessions, function(one, other)
    return used_at(one) > used_at(other)
  end)
  if count <= WINDOW or #sessions < MOST then
    for place = MOST, #sessions do
      finish(sessions[place].id, sessions[place].numbers)
    end
    return
  end
  local ids = {}
  for place = 1, MOST - 1 do
    ids[place] = sessions[place].id
  end
  end_all_but(ids)
end

-- A session as a list of names and values.
local function reply(id)
  local names = {'user_agent', 'address', unpack(NUMBERS)}
  local fields = {'id', id, 'now', text(now)}
  for i, value in ipairs(redis.call('HMGET', record(id), unpack(names))) do
    table.insert(fields, names[i])
    table.insert(fields, value)
  end
  return fields
end

local steps = {}

function steps.open(id, ttl, max_age, user_agent, address)
  redis.call('HSET', record(id), 'user_agent', user_agent, 'address', address)
  correct_not_before()
  make_room()
  local session = {
    generation = FIRST_GENERATION,
    opened_at = now,
    advanced_at = now,
    idle_ends_at = now + math.min(ttl, max_age),
    ends_at = now + max_age,
  }
  issue(session)
  save(id, session)
  return reply(id)
end

-- Generations are compared as text: a number from a token may be larger than Lua can tell from its neighbours.
-- "list" is the answer where the step needs the list of revocations, to end the session or to correct a cut-off: nothing happened.
function steps.rotate(id, presented, ttl, grace)
  if is_ahead() then
    return {'list', false}
  end
  local session, corrupt = find(id)
  if not session then
    return corrupt or {'unknown', false}
  end
  if presented == text(session.generation) then
    session.generation = session.generation + 1
    session.advanced_at = now
    issue(session)
    session.idle_ends_at = math.min(now + ttl, session.ends_at)
    save(id, session)
    return {'rotated', reply(id)}
  end
  local one_behind = session.generation > FIRST_GENERATION and presented == text(session.generation - 1)
  if one_behind and tonumber(grace) > 0 and now - session.advanced_at <= tonumber(grace) then
    live_on(id, session)
    issue(session)
    redis.call('HSET', record(id), 'issued_at', text(session.issued_at), 'tokens_end_at', text(session.tokens_end_at))
    return {'retried', reply(id)}
  end
  return {'list', false}
end

-- The same with the list, where a replay ends the session.
function steps.rotate_or_end(id, presented, ttl, grace)
  correct_not_before()
  local done = steps.rotate(id, presented, ttl, grace)
  if done[1] ~= 'list' then
    return done
  end
  finish(id, find(id))
  return {'reused', false}
end

steps['end'] = function(id)
  local session, corrupt = find(id)
  if session or corrupt then
    finish(id, session)
  end
  return session and 1 or 0
end

-- Of a session that is not there any more; told once.
function steps.end_forgotten(id)
  if redis.call('ZSCORE', index, id) then
    return 0
  end
  prune()
  if not redis.call('ZSCORE', index, ENDED .. id) then
    keep_in_index(ENDED .. id, now + keep)
    revoke(now + keep, 'sid', id)
  end
  return 0
end

function steps.end_all(except)
  return end_all_but({except})
end

function steps.revoke_access_tokens()
  revoke_tokens(window())
  return 0
end

function steps.list()
  local sessions = {}
  for _, session in ipairs(window()) do
    if session.numbers == false then
      local _, corrupt = read(session.id)
      return corrupt
    end
    if session.numbers then
      table.insert(sessions, reply(session.id))
    end
  end
  return sessions
end

return steps[ARGV[1]](unpack(ARGV, 6))
