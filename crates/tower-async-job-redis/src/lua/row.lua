local FORMAT = 1
local LINGER = 600000000
local HOUR = 3600000000
local QUEUED, RUNNING, FAILED, TIMED_OUT, LOST, CANCELLED, DROPPED, EXPIRED, VOID = 0, 1, 3, 4, 5, 6, 7, 8, 9
local WORKER, OUTSIDE = 1, 2

local JOB, PARTS, KEYS_OF, LEASES, PENDING, DUE, READY, ROUTES, NOTIFY, COUNTS, LIST, HANDLES = unpack(KEYS)
local id, lease = ARGV[2], tonumber(ARGV[3])

-- The row of the job, and the row as it is stored. Rows are described in `job/row.rs`.
local job, before, failure
local effects = 0

local REQUIRED = { 'f', 'st', 'hl', 'ep', 'at', 'ma', 'rp', 'du', 'dl', 'cr', 'kp', 'tm' }
local OPTIONAL = { 'tu', 'sd', 'en', 'qf', 'ql', 'bl', 'ch', 'cw', 'nl', 'nd', 'na', 'ns', 'pu', 'rs' }

local function answer(status, ...)
  return { text(now), effects, status, ... }
end

-- Reads the row. Sets `failure` if it cannot be read.
local function load()
  local flat = call('HGETALL', JOB)
  if #flat == 0 then
    return nil
  end
  local row, stored = {}, {}
  for place = 1, #flat, 2 do
    row[flat[place]] = flat[place + 1]
  end
  local version = tonumber(row.f)
  if version and version > FORMAT then
    failure = 'newer'
    return nil
  end
  for _, name in ipairs(REQUIRED) do
    row[name] = tonumber(row[name])
    if not row[name] then
      failure = 'corrupt'
    end
  end
  for _, name in ipairs(OPTIONAL) do
    row[name] = row[name] and tonumber(row[name])
  end
  for name, value in pairs(row) do
    stored[name] = value
  end
  if not failure then
    job, before = row, stored
  end
  return row
end

local function is_pending(row)
  return row ~= nil and row.st < 2
end

local function is_queued(row)
  return row ~= nil and row.st == QUEUED
end

local function is_kept_end()
  return job.st > RUNNING and job.st < DROPPED
end

local function is_held_by(epoch)
  return job ~= nil and is_pending(job) and job.hl == WORKER and job.ep == epoch
end

-- The set by which the next change of the job is found.
local function place_of(row)
  if not is_pending(row) then
    return DUE
  end
  return row.hl == WORKER and LEASES or PENDING
end

-- The member of a claimable job: its route, turn, format, length and id.
local function turn_of(row)
  if is_queued(row) and row.tu then
    return row.rh .. format('%016.0f%02x%08x', row.tu, row.qf or 0, row.ql or 0) .. id
  end
end

local function notice_of(row)
  return row.rh .. format('%08x', row.nl or 0) .. id
end

local function count(field, by)
  if call('HINCRBY', COUNTS, field, by) > 0 then
    return false
  end
  call('HDEL', COUNTS, field)
  return true
end

local function count_waiting(owner, by)
  count('w', by)
  if count('w:' .. owner, by) then
    call('HDEL', COUNTS, 'l:' .. owner)
  end
end

local function count_pending(owner, name, by)
  count('p', by)
  if owner == '' then
    return
  end
  if count('p:' .. owner, by) then
    call('HDEL', COUNTS, 'o:' .. owner)
  elseif by > 0 and name then
    call('HSET', COUNTS, 'o:' .. owner, name)
  end
end

-- The time until which the key of a row counts.
local function wanted_until(row)
  if is_pending(row) then
    return NEVER
  elseif row.st == DROPPED then
    return row.du
  elseif row.st > DROPPED then
    return 0
  end
  return max(row.du, add(row.en or row.cr, row.kp))
end

local function forget_key()
  local digest = job.dg
  local held = digest and call('HGET', KEYS_OF, digest)
  if held and held:sub(1, 32) == id then
    call('HDEL', KEYS_OF, digest)
  end
  job.dg = nil
end

-- Keeps the time until which the key counts beside it, for creates of other jobs.
local function keep_key()
  local is_changed = job.dg and wanted_until(before) ~= wanted_until(job)
  local held = is_changed and call('HGET', KEYS_OF, job.dg)
  if held and held:sub(1, 32) == id then
    call('HSET', KEYS_OF, job.dg, held:sub(1, 96) .. text(wanted_until(job)))
  end
end

local function leave_chunks(epoch)
  call('ZADD', DUE, text(add(now, LINGER)), 'c:' .. id .. ':' .. text(epoch))
end

-- Brings the indexes from one row to another.
local function index(old, new)
  if is_queued(new) and not is_queued(old) then
    count_waiting(new.oh, 1)
  elseif is_queued(old) and not is_queued(new) then
    count_waiting(old.oh, -1)
  end
  if is_pending(new) and not is_pending(old) then
    count_pending(new.oh, new.ow, 1)
  elseif is_pending(old) and not is_pending(new) then
    count_pending(old.oh, nil, -1)
    effects = effects + 1
  end
  local from, to = old and place_of(old), new and place_of(new)
  if from and from ~= to then
    call('ZREM', from, id)
  end
  if to and (from ~= to or old.du ~= new.du) then
    call('ZADD', to, text(new.du), id)
  end
  local is_claimable = false
  local from, to = old and turn_of(old), new and turn_of(new)
  if from ~= to then
    if from then
      call('ZREM', READY, from)
      call('ZREM', ROUTES, from)
    end
    if to then
      call('ZADD', READY, text(new.tu), to)
      call('ZADD', ROUTES, '0', to)
      is_claimable = true
    end
  end
  local from, to = old and old.nd, new and new.nd
  if from ~= to then
    if to then
      call('ZADD', NOTIFY, text(to), notice_of(new))
      is_claimable = true
    else
      call('ZREM', NOTIFY, notice_of(old))
    end
  end
  if is_claimable then
    effects = effects + 2
  end
end

-- Stores the changed fields of the row.
local function save()
  if before.cw and not (job.ep == before.ep and (is_pending(job) or job.ch)) then
    job.cw = nil
    leave_chunks(before.ep)
  end
  local set, gone = { JOB }, { JOB }
  for name, value in pairs(job) do
    if before[name] ~= value then
      set[#set + 1] = name
      set[#set + 1] = text(value)
    end
  end
  for name in pairs(before) do
    if job[name] == nil then
      gone[#gone + 1] = name
    end
  end
  if #set > 1 then
    call('HSET', unpack(set))
  end
  if #gone > 1 then
    call('HDEL', unpack(gone))
  end
  keep_key()
  index(before, job)
end

local function unlist(row)
  if row.h then
    call('ZREM', LIST, row.h .. id)
    call('HDEL', HANDLES, row.h)
  end
end

-- Deletes the job with all that belongs to it, except for chunks, which linger.
local function delete()
  forget_key()
  if before.cw then
    leave_chunks(before.ep)
  end
  unlist(before)
  call('UNLINK', JOB, PARTS)
  index(before, nil)
  job, before = nil, nil
end

-- Lets a full server make the changes of this script, since they add next to nothing: it refuses
-- only the first write.
local function exempt()
  call('HDEL', JOB, '')
end

-- Ends a pending job that cannot be read as failed, or deletes one that has ended.
local function end_unreadable(row, member)
  local was_pending = call('ZREM', LEASES, id) + call('ZREM', PENDING, id) > 0
  if member then
    was_pending = call('ZREM', READY, member) + call('ZREM', ROUTES, member) > 0 or was_pending
  end
  if was_pending then
    local owner = row.oh or ''
    count_pending(owner, nil, -1)
    if member or row.st == QUEUED then
      count_waiting(owner, -1)
    end
    local epoch = text((row.ep or 0) + 1)
    call('HSET', JOB, 'st', text(FAILED), 'hl', '0', 'ep', epoch, 'en', text(now))
    call('HDEL', JOB, 'tu')
    call('ZADD', DUE, text(add(now, HOUR)), id)
  else
    job = row
    forget_key()
    unlist(row)
    call('ZREM', DUE, id)
    if row.rh then
      call('ZREM', NOTIFY, notice_of(row))
    end
    call('UNLINK', JOB, PARTS)
  end
  effects = effects + 1
end
