-- A necessary command that the user may not run on this key, or nothing.
local key = ARGV[1]
local commands = {
  { 'EVALSHA', '', '0' },
  { 'SET', key, '' },
  { 'TIME' },
  { 'UNLINK', key },
  { 'XREAD', 'STREAMS', key, '0' },
}
local names = 'GET HDEL HEXISTS HGET HGETALL HINCRBY HMGET HSET PEXPIRE XADD XREVRANGE ZADD ZCARD ZCOUNT ZRANGE '
  .. 'ZRANGEBYLEX ZRANGEBYSCORE ZREM ZREMRANGEBYSCORE ZREVRANGEBYSCORE ZSCORE'
for name in names:gmatch('%u+') do
  commands[#commands + 1] = { name, key, '0', '0' }
end
for _, command in ipairs(commands) do
  if not redis.acl_check_cmd(unpack(command)) then
    return command[1]
  end
end
return ''
