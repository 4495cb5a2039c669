-- 1 job, 2 chunks; 2 epoch, 3 newest format, 4 number of chunks that a result may have, 5 index, 6 data
local row = call('GET', KEYS[1]) or ''
local head, state, held, epoch, rest = row:match('^(f=%d+ st=(%d+) hl=(%d+) ep=(%d+) du=%d+)(.*)$')
if tonumber(row:match('^f=(%d+)') or 0) > tonumber(ARGV[3]) then
  return { text(now), 0, 'newer' }
elseif not ((state == '0' or state == '1') and held == '1' and epoch == ARGV[2]) then
  return { text(now), 0, 'lost' }
end
-- A wrapper may use only few of the indexes of a long result.
if call('HLEN', KEYS[2]) >= tonumber(ARGV[4]) and call('HEXISTS', KEYS[2], ARGV[5]) == 0 then
  return { text(now), 0, 'full' }
end
call('HSET', KEYS[2], ARGV[5], ARGV[6])
if not rest:find('^ cw=') then
  call('SET', KEYS[1], head .. ' cw=1' .. rest)
end
return { text(now), 0, 'ok' }
