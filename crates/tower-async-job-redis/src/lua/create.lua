-- 4 start, 5 digest of the key, 6 fingerprint, 7 creation, 8 time of running, 9 deadline, 10 first
-- turn, 11 latest turn of the owner, 12 whether the queue is full, 13 request, 14 notification,
-- 15 epoch, 16 handle, 17 hash of the owner, 18 its name, 19 and 20 fields of the row, before and after
-- those of the scripts
local start, digest, print = ARGV[4], ARGV[5], ARGV[6]
local new = fields_of('ep=' .. ARGV[15] .. ARGV[19] .. ARGV[20])

-- Returns whether this create repeats the one of the job, and its answer still holds.
local function repeats()
  if start ~= 'offered' and not is_held_by(new.ep) then
    return false
  end
  if job.st == VOID or job.h ~= new.h or job.od ~= new.od or (job.dg or '') ~= digest then
    return false
  end
  local held = digest ~= '' and call('HGET', KEYS_OF, digest)
  return digest == '' or held and held:sub(1, 96) == id .. print
end

load()
if failure then
  return answer(failure)
end
if job then
  if job.st ~= VOID or job.du > now then
    if repeats() then
      return answer('created', job.cr)
    end
    return answer('conflict')
  end
  -- The first write is one that a full server refuses.
  call('SET', JOB, call('GET', JOB))
  delete()
end
local held = digest ~= '' and call('HGET', KEYS_OF, digest)
if held and now < tonumber(held:sub(97)) then
  if held:sub(33, 96) == print then
    return answer('existing', held:sub(1, 32))
  end
  return answer('reused')
end
if ARGV[12] ~= '' then
  return answer('full')
end
job = new
job.f, job.hl, job.du = FORMAT, WORKER, add(now, lease)
job.cr = ARGV[7] ~= '' and tonumber(ARGV[7]) or now
job.dl = add(job.cr, tonumber(ARGV[9]))
job.st = QUEUED
if start == 'running' then
  job.st, job.sd = RUNNING, now - tonumber(ARGV[8])
end
if digest ~= '' then
  job.dg = digest
end
-- The first write is one that a full server refuses.
local parts = { PARTS }
if job.qf then
  parts[2], parts[3] = 'q', ARGV[13]
end
if job.nl then
  parts[#parts + 1], parts[#parts + 2] = 'no', ARGV[14]
end
if #parts > 1 then
  call('HSET', unpack(parts))
end
local turn = ''
if start == 'offered' then
  free(now, tonumber(ARGV[10]), tonumber(ARGV[11]))
  turn = job.tu
end
write(job)
call('ZADD', LIST, text(job.cr), job.h .. id)
call('HSET', HANDLES, job.h, id)
if job.oh ~= '' then
  call('ZADD', OWNED, '0', owned_of(job.oh, job.cr, job.h, id))
end
if digest ~= '' then
  call('HSET', KEYS_OF, digest, id .. print .. text(NEVER))
end
index(nil, job)
return answer('created', job.cr, turn)
