local LINGER = 600000000
local QUEUED, RUNNING, FAILED, TIMED_OUT, LOST, CANCELLED, DROPPED, EXPIRED, VOID = 0, 1, 3, 4, 5, 6, 7, 8, 9
local WORKER, OUTSIDE = 1, 2

-- The row of the job as it is stored, and the job: the row with the changes of this script, in which
-- `false` stands for a field that is deleted.
local before, job, failure
local effects = 0

-- The fields in their order, in which scripts of common cases look for them; see `job/row.rs`.
local NAMES = {
  'f', 'st', 'hl', 'ep', 'du', 'cw', 'qf', 'ql', 'tu', 'pt', 'pu', 'rs', 'dg', 'nl', 'nd', 'na', 'ns', 'en', 'bl',
  'ch', 'kp', 'oh', 'cr', 'dl', 'sd', 'at', 'ma', 'rp', 'tm', 'h', 'rh', 'ro', 'od', 'ow', 'pr', 'ps',
}
-- All other fields are numbers.
local TEXTS = { h = true, ro = true, rh = true, oh = true, ow = true, od = true, dg = true, pt = true }

local function answer(status, ...)
  return { now, effects, status, ... }
end

local function fields_of(data)
  local row, copy = {}, {}
  for name, value in data:gmatch('(%l+)=([^ ]*)') do
    value = TEXTS[name] and value or tonumber(value)
    row[name], copy[name] = value, value
  end
  return row, copy
end

local function write(row)
  local fields = {}
  for _, name in ipairs(NAMES) do
    local value = row[name]
    if value then
      fields[#fields + 1] = name .. '=' .. text(value)
    end
  end
  call('SET', JOB, table.concat(fields, ' '))
end

-- Reads the row. Sets `failure` if it cannot be read.
local function load()
  local data = call('GET', JOB)
  if not data then
    return nil
  end
  local row, copy = fields_of(data)
  if row.f and row.f > FORMAT then
    failure = 'newer'
  elseif not (row.f and row.st and row.hl and row.ep and row.at and row.ma and row.rp and row.du and row.dl
    and row.cr and row.kp and row.tm) then
    failure = 'corrupt'
  else
    before, job = row, copy
  end
  return row
end

local function is_pending(row)
  return row and row.st < 2
end

local function is_queued(row)
  return row and row.st == QUEUED
end

local function is_kept_end()
  return job.st > RUNNING and job.st < DROPPED
end

local function is_held_by(epoch)
  return is_pending(job) and job.hl == WORKER and job.ep == epoch
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
    return row.rh .. format('%016d%02x%08x', row.tu, row.qf or 0, row.ql or 0) .. id
  end
end

-- The time until which the job waits, unless it may be claimed or is held by a worker. The time of an
-- outside party passes while a node has the job too.
local function wait_of(row)
  if is_pending(row) then
    return row.pu or row.hl ~= WORKER and not row.tu and row.du or nil
  end
  return row and row.nd or nil
end

local function notice_of(row)
  return row.rh .. format('%08x', row.nl or 0) .. id
end

local function count_waiting(owner, by)
  if count(COUNTS, 'w', by) then
    call('HDEL', COUNTS, 't')
  end
  if count(COUNTS, 'w:' .. owner, by) then
    call('HDEL', COUNTS, 'l:' .. owner)
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
    count_pending(COUNTS, new.oh, new.ow, 1)
  elseif is_pending(old) and not is_pending(new) then
    count_pending(COUNTS, old.oh, nil, -1)
    effects = effects + 1
  end
  local from, to = old and place_of(old), new and place_of(new)
  if from and from ~= to then
    call('ZREM', from, id)
  end
  if to and (from ~= to or old.du ~= new.du) then
    call('ZADD', to, text(new.du), id)
  end
  local from, to = wait_of(old), wait_of(new)
  if from and not to then
    call('ZREM', SINCE, id)
  elseif to and from ~= to then
    call('ZADD', SINCE, text(now), id)
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
  local from, to = old and old.nd or nil, new and new.nd or nil
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
