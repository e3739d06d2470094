-- One step on the sessions of one user, atomic and by the clock of Redis.
--
-- KEYS  first the user's index: a sorted set of session ids, scored by the end of the session if it is not refreshed;
--       then the record of the session, for a step on one session that may exist already;
--       last the revocation list of the slot, a stream, for a step that may add entries to it
-- ARGV  the step, milliseconds to add to the clock (0 outside tests), the user, the milliseconds for which a token is
--       listed from its date, the maximum number of live sessions per user, and the arguments of the step
--
-- The record of a session is the hash KEYS[1] .. ':' .. id, in the same slot as the index. The record is named in KEYS
-- so that no step sees only one of the two while the slot moves to another node. A session is alive while it has both
-- and has not expired; removing the index therefore ends all sessions, whatever their number. The index has two other
-- kinds of members: NOT_BEFORE, with the user's notBefore plus MARGIN as its score; and one that begins with ENDED for
-- each session that was unknown when it ended. The expiry times of the keys only clean up leftovers.
--
-- No step looks at more than WINDOW sessions. An index written by an older version may have more.
--
-- Every reply of a step must survive a fail-over, so a step that repeats another one writes too, even if it changes
-- nothing: the first one may have been written on another connection and not be acknowledged by a replica yet, and WAIT
-- only covers the writes of this connection. Redis replicates no DEL, ZREM or ZADD without effect, but each PEXPIREAT.
--
-- A full Redis refuses the first write of a step or none, so a step takes effect as a whole or not at all. A step that
-- ends something begins with a write that frees memory, because such a write is never refused.

local index, list = KEYS[1], KEYS[#KEYS]
local skew, user, keep = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + skew

local FIRST_GENERATION = 1
local NUMBERS = {'generation', 'opened_at', 'advanced_at', 'issued_at', 'tokens_end_at', 'idle_ends_at', 'ends_at'}
-- The maximum number of live sessions per user, and the number that a step looks at.
local MOST = tonumber(ARGV[5])
local WINDOW = MOST + 100
-- The number of oldest entries of the list that are checked for expiry whenever one is added.
local OLDEST = 8
-- The time for which an unreadable entry is kept, in seconds.
local DAY = 86400
-- The number of newest entries of the list that are searched for a notBefore that has to be corrected.
local NEWEST = 1000
local NOT_BEFORE, ENDED = 'not_before', 'ended:'
-- The clock of a replica that takes over may be behind by MARGIN; even then no token is dated before notBefore. A
-- notBefore further ahead comes from a wrong clock.
local MARGIN = 10000
-- The correction of such a notBefore: now plus shared_claims::LEEWAY, in whole seconds.
local latest = math.floor(now / 1000) * 1000 + 5000

local function record(id)
  return index .. ':' .. id
end

-- Formats large numbers as integers, where Lua would write 1e+15.
local function text(number)
  return string.format('%.0f', number)
end

local function drop(id)
  redis.call('DEL', record(id))
  redis.call('ZREM', index, id)
end

-- Reads the numbers and the label of a session in the index, if it is alive; else nil, and an error reply if it is
-- corrupt. Its record may not have been moved to this node yet, so a session that seems ended is left to expire. Fails
-- if the record has been moved away from this node.
local function read(id)
  local values = redis.pcall('HMGET', record(id), 'user_agent', 'address', unpack(NUMBERS))
  if values.err then
    if not values.err:find('^WRONGTYPE') then
      error(values)
    end
    return nil, redis.error_reply('CORRUPT record of session ' .. id)
  end
  local session = {user_agent = values[1], address = values[2]}
  for i, name in ipairs(NUMBERS) do
    local value = values[i + 2]
    if value and #value < 16 and value:match('^%d+$') then
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

-- The score of NOT_BEFORE, once it was read; MARGIN if the index has no such member.
local marked

-- The user's notBefore; 0 if there is none, or if it is more than MARGIN ago.
local function not_before()
  marked = marked or tonumber(redis.call('ZSCORE', index, NOT_BEFORE) or MARGIN)
  return marked > now and marked - MARGIN or 0
end

-- True if the session is in the index. Also reads NOT_BEFORE.
local function is_listed(id)
  local scores = redis.call('ZMSCORE', index, NOT_BEFORE, id)
  marked = tonumber(scores[1] or MARGIN)
  return scores[2]
end

-- Reads the session of this step, as `read` does. Removes what is left of an ended session, with a write that is always
-- replicated, because the end itself may not be acknowledged yet.
local function find(id, listed)
  local session, corrupt
  if listed then
    session, corrupt = read(id)
  end
  if not session and not corrupt then
    drop(id)
    redis.call('HSET', record(id), 'ended', '')
    redis.call('DEL', record(id))
  end
  return session, corrupt
end

-- Sets the expiry of the record to that of the session. Also the first write of a retry, because even a full Redis
-- accepts it.
local function live_on(id, session)
  redis.call('PEXPIREAT', record(id), text(session.idle_ends_at - skew))
end

local function expire_index()
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
  if last then
    redis.call('PEXPIREAT', index, text(last - skew))
  end
end

-- Removes expired members of the index. Calls ZREM, a write that frees memory, even if there are none.
local function prune()
  local over = redis.call('ZRANGE', index, '-inf', text(now), 'BYSCORE', 'LIMIT', 0, WINDOW)
  redis.call('ZREM', index, '', unpack(over))
end

local function keep_in_index(member, ends_at)
  prune()
  redis.call('ZADD', index, text(ends_at), member)
  expire_index()
end

-- A rotation neither prunes nor looks for the last member: every step that adds a member prunes, and this session now
-- expires later than before.
local function save(id, session)
  local values = {}
  for _, name in ipairs(NUMBERS) do
    table.insert(values, name)
    table.insert(values, text(session[name]))
  end
  redis.call('HSET', record(id), unpack(values))
  live_on(id, session)
  if session.generation == FIRST_GENERATION then
    return keep_in_index(id, session.idle_ends_at)
  end
  redis.call('ZADD', index, text(session.idle_ends_at), id)
  redis.call('PEXPIREAT', index, text(session.idle_ends_at - skew), 'GT')
end

-- Dates the access token that is issued now: not before notBefore, nor before the session's last token, unless that was
-- dated by a wrong clock.
local function issue(session)
  local last = session.issued_at or 0
  session.issued_at = math.max(now, not_before(), last <= now + MARGIN and last or 0)
  session.tokens_end_at = math.max(session.tokens_end_at or 0, session.issued_at + keep)
end

-- The most recently used sessions of the index, as {id, numbers}; numbers are false for a corrupt record, and nil for
-- one that is not on this node.
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

-- Adds an entry to the list, for verifiers until `until_ms`. An empty list is kept: a new one might repeat positions
-- after the clock was set back.
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

-- Ends a session of which the index member, the record or both exist.
local function finish(id, session)
  drop(id)
  revoke(session and session.tokens_end_at or now + keep, 'sid', id)
end

local function revoke_before(from, until_ms)
  marked = from + MARGIN
  keep_in_index(NOT_BEFORE, marked)
  revoke(until_ms, 'sub', user, 'not_before', text(from / 1000))
end

-- True if notBefore was set by a clock that was ahead.
local function is_ahead()
  return not_before() > now + MARGIN
end

-- Replaces such a notBefore by now plus the leeway, in the index and in the list.
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

-- Revokes all access tokens issued so far, given the sessions and those of them that are kept (nil for all); returns
-- the new notBefore. Token dates are whole seconds: see revocations/mod.rs.
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
    expire_index()
    return known
  end
  revoke_before(from, math.max(from + keep, last))
  return from
end

-- Ends all sessions except these ids, and revokes all tokens issued so far; returns the number of live sessions ended,
-- of those it looked at. A session gets its own entry only if notBefore does not cover its tokens: the newest ones, and
-- any dated by a clock that was ahead. A record moved here later is not alive: the index lacks it.
local function end_all_but(ids)
  -- Fails before any write while the slot moves away from this node: there a step cannot use a key that it has removed.
  redis.call('EXISTS', record('none'))
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

-- Ends the sessions unused for the longest time until there is room for one more.
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

-- A session as a list: the id, its label, and a list of the time, the user's notBefore as `not_before` returns it, and
-- NUMBERS.
local function reply(id, session)
  local numbers = {text(now), text(not_before())}
  for i, name in ipairs(NUMBERS) do
    numbers[i + 2] = text(session[name])
  end
  return {id, session.user_agent, session.address, numbers}
end

local steps = {}

function steps.open(id, ttl, max_age, user_agent, address)
  redis.call('HSET', record(id), 'user_agent', user_agent, 'address', address)
  correct_not_before()
  make_room()
  local session = {
    user_agent = user_agent,
    address = address,
    generation = FIRST_GENERATION,
    opened_at = now,
    advanced_at = now,
    idle_ends_at = now + math.min(ttl, max_age),
    ends_at = now + max_age,
  }
  issue(session)
  save(id, session)
  return reply(id, session)
end

-- Generations are compared as text: a number from a token may exceed Lua's precision. The reply "list" means that the
-- step needs the revocation list, to end the session or to correct notBefore; nothing was changed.
function steps.rotate(id, presented, ttl, grace)
  local listed = is_listed(id)
  if is_ahead() then
    return {'list', false}
  end
  local session, corrupt = find(id, listed)
  if not session then
    return corrupt or {'unknown', false}
  end
  if presented == text(session.generation) then
    session.generation = session.generation + 1
    session.advanced_at = now
    issue(session)
    session.idle_ends_at = math.min(now + ttl, session.ends_at)
    save(id, session)
    return {'rotated', reply(id, session)}
  end
  local one_behind = session.generation > FIRST_GENERATION and presented == text(session.generation - 1)
  local since = now - session.advanced_at
  if one_behind and tonumber(grace) > 0 and since >= -MARGIN and since <= tonumber(grace) then
    live_on(id, session)
    issue(session)
    redis.call('HSET', record(id), 'issued_at', text(session.issued_at), 'tokens_end_at', text(session.tokens_end_at))
    return {'retried', reply(id, session)}
  end
  return {'list', false}
end

-- The same step with the revocation list: a reuse ends the session.
function steps.rotate_or_end(id, presented, ttl, grace)
  correct_not_before()
  local done = steps.rotate(id, presented, ttl, grace)
  if done[1] ~= 'list' then
    return done
  end
  finish(id, find(id, is_listed(id)))
  return {'reused', false}
end

steps['end'] = function(id)
  local session, corrupt = find(id, is_listed(id))
  if session or corrupt then
    finish(id, session)
  end
  return session and 1 or 0
end

-- Revokes a session that no longer exists, once.
function steps.end_forgotten(id)
  if redis.call('ZSCORE', index, id) then
    return 0
  end
  prune()
  if not redis.call('ZSCORE', index, ENDED .. id) then
    keep_in_index(ENDED .. id, now + keep)
    revoke(now + keep, 'sid', id)
  end
  expire_index()
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
      table.insert(sessions, reply(session.id, session.numbers))
    end
  end
  return sessions
end

return steps[ARGV[1]](unpack(ARGV, 6))
