-- What came to one shard of the list of revocations.
--
-- KEYS[1]  the shard: a stream
-- ARGV     the step, nothing, behind which entry, how many entries, and a name for the list where this shard keeps it
--
-- The answer: the list's name, the newest entry's id, and entries, oldest first. Absent things are empty.

local shard, after, count, name = KEYS[1], ARGV[3], ARGV[4], ARGV[5]

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
return {list, newest and newest[1] or '', redis.call('XRANGE', shard, '(' .. after, '+', 'COUNT', count)}
