-- 1 job, 2 parts; 2 whether the outcome is wanted
local flat = call('HGETALL', KEYS[1])
if #flat == 0 then
  return { text(now), 0, 'none' }
end
if ARGV[2] == '' then
  return { text(now), 0, 'ok', flat, call('HMGET', KEYS[2], 'pg', 'pa', 'me') }
end
return { text(now), 0, 'ok', flat, call('HMGET', KEYS[2], 'pg', 'pa', 'me', 'r') }
