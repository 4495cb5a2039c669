-- 1 job, 2 chunks; 2 epoch, 3 newest format, 4 index, 5 data
local row = call('HMGET', KEYS[1], 'f', 'st', 'hl', 'ep')
if row[1] and (tonumber(row[1]) or 0) > tonumber(ARGV[3]) then
  return { text(now), 0, 'newer' }
elseif not ((row[2] == '0' or row[2] == '1') and row[3] == '1' and tonumber(row[4]) == tonumber(ARGV[2])) then
  return { text(now), 0, 'lost' }
end
call('HSET', KEYS[2], ARGV[4], ARGV[5])
call('HSET', KEYS[1], 'cw', '1')
return { text(now), 0, 'ok' }
