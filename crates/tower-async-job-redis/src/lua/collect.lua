-- Deletes chunks that have lingered for long enough. 2 member, 3 the latest time that is expected
local score = call('ZSCORE', KEYS[2], ARGV[2])
if score and tonumber(score) <= now and (ARGV[3] == '' or now <= tonumber(ARGV[3])) then
  call('ZREM', KEYS[2], ARGV[2])
  call('UNLINK', KEYS[1])
end
return { text(now), 0, 'ok' }
