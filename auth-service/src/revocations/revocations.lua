-- Reads one shard of the revocation list, or the name of the list.
--
-- KEYS[1]  the shard, a stream; or the key of the list's name
-- ARGV     the step, milliseconds to add to the clock (0 outside tests), and the arguments of the step

local steps, key, skew = {}, KEYS[1], tonumber(ARGV[2])

-- Returns the name of the list, after setting it to `new` if it has none, or a key of another type.
function steps.name(new)
  local name = redis.pcall('GET', key)
  if type(name) == 'string' then
    return name
  end
  redis.call('SET', key, new)
  return new
end

-- Reads `count` entries after `after`: the time in milliseconds, the server's replication id, the newest entry's id or
-- '', and the entries, oldest first. A replica that takes over has another replication id: it may lack entries of the
-- old master, and have others. A key of another type counts as one unreadable entry.
function steps.read(after, count)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000) + skew
  local history = redis.call('INFO', 'replication'):match('master_replid:(%x+)') or ''
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'stream' and kind ~= 'none' then
    return {now, history, after, {{after, {kind}}}}
  end
  local newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  return {now, history, newest and newest[1] or '', redis.call('XRANGE', key, '(' .. after, '+', 'COUNT', count)}
end

return steps[ARGV[1]](unpack(ARGV, 3))
