-- Counts consecutive failures, and calls per minute: one step for one name, atomic and by the clock of Redis.
--
-- KEYS[1]  the name
-- ARGV     the step, milliseconds to add to the clock (0 outside tests), and the arguments of the step
--
-- The rules for failures, and their constants, are those of failures.rs.

local key, skew = KEYS[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + skew

-- Formats large numbers as integers, where Lua would write 1e+15.
local function text(number)
  return string.format('%.0f', number)
end

local function row()
  local values = redis.call('HMGET', key, 'failures', 'allowed_at', 'forget_at')
  if not values[1] or tonumber(values[3]) <= now then
    return {failures = 0, allowed_at = 0, forget_at = 0}
  end
  return {failures = tonumber(values[1]), allowed_at = tonumber(values[2]), forget_at = tonumber(values[3])}
end

local function save(row, memory)
  row.forget_at = math.max(row.forget_at, row.allowed_at + memory, now + memory)
  redis.call('HSET', key, 'failures', text(row.failures), 'allowed_at', text(row.allowed_at),
    'forget_at', text(row.forget_at))
  redis.call('PEXPIREAT', key, text(row.forget_at - skew))
end

local steps = {}

-- Returns -1 for a free attempt, 0 for a single attempt, else the milliseconds to wait.
function steps.attempt(limit, first_wait, longest_wait, memory)
  local row = row()
  if row.failures < tonumber(limit) then
    return -1
  end
  if row.allowed_at > now then
    return math.min(row.allowed_at - now, tonumber(longest_wait))
  end
  row.failures = row.failures + 1
  local wait = math.min(first_wait * 2 ^ math.min(row.failures - limit, 20), longest_wait)
  row.allowed_at = now + wait
  save(row, memory)
  return 0
end

-- Returns 0 if the result was recorded; else the milliseconds to wait, and nothing was changed.
function steps.settle(limit, first_wait, longest_wait, memory, success)
  local row = row()
  if row.failures >= tonumber(limit) then
    return math.max(1, math.min(row.allowed_at - now, tonumber(longest_wait)))
  end
  if success == '1' then
    redis.call('DEL', key)
    return 0
  end
  row.failures = row.failures + 1
  if row.failures >= tonumber(limit) then
    row.allowed_at = now + first_wait
  end
  save(row, memory)
  return 0
end

function steps.forget()
  redis.call('DEL', key)
  return 0
end

-- The generic cell rate algorithm: stores the theoretical arrival time, at which the next call would come if calls came
-- evenly. Returns 0, or the milliseconds to wait.
function steps.pass(per_minute)
  local gap = 60000 / per_minute
  local even = math.max(tonumber(redis.call('GET', key) or '0'), now)
  local wait = even - now - (60000 - gap)
  if wait > 0 then
    return math.min(math.ceil(wait), 60000)
  end
  redis.call('SET', key, string.format('%.3f', even + gap), 'PXAT', text(math.ceil(even + gap) - skew))
  return 0
end

return steps[ARGV[1]](unpack(ARGV, 3))
