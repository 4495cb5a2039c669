-- Notes that a node sweeps, and counts those that have done so recently. 2 lease, 3 node
local lease = tonumber(ARGV[2])
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - 2 * lease))
call('ZADD', KEYS[1], text(now), ARGV[3])
call('PEXPIRE', KEYS[1], text(math.ceil(lease / 250)))
return call('ZCOUNT', KEYS[1], text(now - lease), '+inf')
