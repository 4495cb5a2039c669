-- 1 job, 2 chunks; 2 epoch, 3 newest format, 4 index, 5 data
local row = call('GET', KEYS[1]) or ''
local head, state, held, epoch, rest = row:match('^(f=%d+ st=(%d+) hl=(%d+) ep=(%d+) du=%d+)(.*)$')
if tonumber(row:match('^f=(%d+)') or 0) > tonumber(ARGV[3]) then
  return { text(now), 0, 'newer' }
elseif not ((state == '0' or state == '1') and held == '1' and epoch == ARGV[2]) then
  return { text(now), 0, 'lost' }
end
call('HSET', KEYS[2], ARGV[4], ARGV[5])
if not rest:find('^ cw=') then
  call('SET', KEYS[1], head .. ' cw=1' .. rest)
end
return { text(now), 0, 'ok' }
