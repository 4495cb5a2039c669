-- 1 chunks, 2 due; 2 member, 3 linger, 4 index
local data = call('HGET', KEYS[1], ARGV[4])
local score = data and call('ZSCORE', KEYS[2], ARGV[2])
local untl = add(now, tonumber(ARGV[3]))
-- Within one second, one read is enough.
if score and tonumber(score) < untl - 1000000 then
  -- A full server then makes the change, and one that writes nothing still lets the chunk be read.
  redis.pcall('HDEL', KEYS[1], '')
  redis.pcall('ZADD', KEYS[2], text(untl), ARGV[2])
end
return { text(now), 0, 'ok', data }
