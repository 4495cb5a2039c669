-- A necessary command that the user may not run on this key, or nothing. 2 the command that tells
-- whether changes are durable, if there is one
local key = ARGV[1]
local commands = {
  { 'EVALSHA', '', '0' },
  { 'SET', key, '' },
  { 'TIME' },
  { 'UNLINK', key },
  { 'XREAD', 'STREAMS', key, '0' },
}
local names = 'GET HDEL HEXISTS HGET HGETALL HINCRBY HLEN HMGET HSET PEXPIRE XADD XREVRANGE ZADD ZCARD ZCOUNT ZRANGE '
  .. 'ZRANGEBYLEX ZRANGEBYSCORE ZREM ZREMRANGEBYSCORE ZREVRANGEBYSCORE ZSCORE'
for name in names:gmatch('%u+') do
  commands[#commands + 1] = { name, key, '0', '0' }
end
if ARGV[2] ~= '' then
  commands[#commands + 1] = { ARGV[2], '0', '0', ARGV[2] == 'WAITAOF' and '0' or nil }
end
for _, command in ipairs(commands) do
  if not redis.acl_check_cmd(unpack(command)) then
    return command[1]
  end
end
return ''
