-- What came to one shard of the list of revocations.
--
-- KEYS[1]  the shard: a stream
-- ARGV     the step, milliseconds to add to the clock (0 outside tests), behind which entry, how many entries, and a name for the list where this shard keeps it
--
-- The answer: the list's name, the time in milliseconds, the newest entry's id, and entries, oldest first. Absent things are
-- empty.

local shard, skew, after, count, name = KEYS[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + skew

local list = ''
if name then
  local key = shard .. ':name'
  list = redis.call('GET', key)
  if not list then
    redis.call('SET', key, name)
    list = name
  end
end
local newest = redis.call('XREVRANGE', shard, '+', '-', 'COUNT', 1)[1]
return {list, now, newest and newest[1] or '', redis.call('XRANGE', shard, '(' .. after, '+', 'COUNT', count)}
