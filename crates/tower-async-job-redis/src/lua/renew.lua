-- Prolongs leases. The keys are sets of leases, then jobs. 2 lease, 3 newest format of rows, then of
-- each job the number of its set, its id and its epoch
local jobs = (#ARGV - 3) / 3
local sets = #KEYS - jobs
call('ZREM', KEYS[1], '')
local untl = text(add(now, tonumber(ARGV[2])))
local fates = {}
for number = 1, jobs do
  local key, place = KEYS[sets + number], 3 * number + 1
  local row = call('GET', key)
  local format, state, held, epoch, due, rest = (row or ''):match(
    '^f=(%d+) st=(%d+) hl=(%d+) ep=(%d+) du=(%d+)(.*)$')
  local fate = 'lost'
  if not row then
    fate = 'missing'
  elseif format and tonumber(format) <= tonumber(ARGV[3]) then
    if (state == '0' or state == '1') and held == '1' and epoch == ARGV[place + 2] then
      fate = 'held'
      call('SET', key, 'f=' .. format .. ' st=' .. state .. ' hl=1 ep=' .. epoch .. ' du=' .. untl .. rest)
      call('ZADD', KEYS[tonumber(ARGV[place])], untl, ARGV[place + 1])
    elseif state == '6' then
      fate = 'cancelled'
    elseif state == '9' and tonumber(due) <= now then
      fate = 'missing'
    end
  end
  fates[number] = fate
end
return fates
