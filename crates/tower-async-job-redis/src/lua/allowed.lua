-- Returns the first command of the store that its user may not run on these two keys: the stream,
-- and any other.
local stream, key = ARGV[1], ARGV[2]
local commands = {
    { 'XADD', stream, '1-*', 'a', 'b' },
    { 'XREAD', 'STREAMS', stream, '0' },
    { 'XREVRANGE', stream, '+', '-' },
    { 'SET', key, 'a' },
    { 'UNLINK', key },
    { 'PEXPIRE', key, '1' },
    { 'HDEL', key, 'a' },
    { 'HEXISTS', key, 'a' },
    { 'HGET', key, 'a' },
    { 'HGETALL', key },
    { 'HINCRBY', key, 'a', '1' },
    { 'HMGET', key, 'a' },
    { 'HSET', key, 'a', 'b' },
    { 'ZADD', key, '0', 'a' },
    { 'ZCARD', key },
    { 'ZCOUNT', key, '0', '1' },
    { 'ZRANGE', key, '0', '1' },
    { 'ZRANGEBYLEX', key, '-', '+' },
    { 'ZRANGEBYSCORE', key, '0', '1' },
    { 'ZREM', key, 'a' },
    { 'ZREMRANGEBYSCORE', key, '0', '1' },
    { 'ZREVRANGEBYSCORE', key, '1', '0' },
    { 'ZSCORE', key, 'a' },
    { 'TIME' },
    { 'EVALSHA', '0', '1', key },
}
for _, command in ipairs(commands) do
    if not redis.acl_check_cmd(unpack(command)) then
        return command[1]
    end
end
return false
