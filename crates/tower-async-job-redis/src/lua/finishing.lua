local function forget_party()
  job.pt, job.pu, job.rs = false, false, false
end

-- Records a report, whose fields are marked in the first argument and follow it.
local function report(first)
  local marks = ARGV[first]
  local set = { PARTS }
  local place = first
  for number, name in ipairs({ 'pg', 'pa', 'me', 'ck' }) do
    if marks:sub(number, number) == '1' then
      place = place + 1
      set[#set + 1] = name
      set[#set + 1] = ARGV[place]
    end
  end
  if #set > 1 then
    call('HSET', unpack(set))
  end
  if marks:sub(1, 3) ~= '000' then
    job.rp = job.rp + 1
  end
end

local function finish(state)
  job.st, job.hl, job.tu, job.en = state, 0, false, now
  job.du = add(now, job.kp)
  call('HDEL', PARTS, 'q', 'ck')
  job.qf, job.ql = false, false
  forget_party()
  if job.nl then
    job.nd, job.ns = now, state
  end
end
