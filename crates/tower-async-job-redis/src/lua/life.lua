local HOUR = 3600000000

local function usual_expiry()
  return add(job.en or job.cr, job.kp)
end

local function is_wanted()
  return (job.dg or job.nd) and now < wanted_until(job)
end

-- The state now, before or after a sweep. Nothing if the job is unknown.
local function state_now()
  if is_pending(job) then
    return job.st
  elseif job.st == VOID then
    return nil
  elseif job.st == EXPIRED then
    return now < job.du and EXPIRED or nil
  elseif job.st == DROPPED then
    return now < add(job.du, job.tm) and EXPIRED or nil
  elseif now < job.du then
    return job.st
  end
  return now < add(max(usual_expiry(), job.du), job.tm) and EXPIRED or nil
end

local function drop_notify()
  if job.nl then
    call('HDEL', PARTS, 'no')
  end
  job.nl, job.nd = false, false
end

-- Expires a job whose result is dropped, if neither key nor notification need it.
local function drop_unwanted()
  if job.st == DROPPED and not job.dg and not job.nl then
    job.st = EXPIRED
    job.du = add(job.du, job.tm)
  end
end

-- Drops the result of an ended job. Until the end of the usual retention, its key counts and its
-- notification may be claimed.
local function drop_result()
  if is_kept_end() then
    job.du = max(job.du, usual_expiry())
    job.st = DROPPED
    call('HDEL', PARTS, 'q', 'r', 'pg', 'pa', 'me', 'ck')
    job.qf, job.ql, job.bl, job.ch, job.ro, job.ow = false, false, false, false, false, false
  end
  drop_unwanted()
end

-- Drops everything except the tombstone of an ended job whose retention is over.
local function expire()
  if not is_wanted() then
    forget_key()
    drop_notify()
  end
  drop_result()
end

local function void(epoch, untl)
  return {
    f = FORMAT, st = VOID, hl = 0, ep = epoch, at = 0, ma = 1, rp = 0, du = untl, dl = 0, cr = 0, kp = 0, tm = 0,
  }
end

-- Leaves only a void until then, so that no create stores a job with this id.
local function become_void(untl)
  forget_key()
  unlist(job)
  call('UNLINK', PARTS)
  job = void(job.ep, untl)
end

-- The time for which the void of a known job lasts: as long as nodes that have seen it pending may
-- take a missing record for lost.
local function void_span()
  return max(lease, job.tm)
end

-- Ends a pending job without its holder.
local function revoke(state, problem)
  -- A later finish by the same epoch must not look like a repeated one.
  job.ep = job.ep + 1
  if problem then
    call('HSET', PARTS, 'r', problem)
  end
  finish(state)
end

-- Holds the job for an outside party, at most until its deadline.
local function hold_outside(untl)
  job.hl = OUTSIDE
  job.du = min(untl, job.dl)
end

-- Leaves a job to an outside party, or returns it to the one for which it was resumed.
local function go_outside(token, span)
  if token ~= '' then
    job.pt, job.pu = token, add(now, span)
  elseif not (job.pu and job.rs == 1 and job.pu > now) then
    return false
  end
  job.rs = false
  hold_outside(job.pu)
  job.ep = job.ep + 1
  return true
end

-- Ends a pending job that no worker may re-run; returns its state if so.
local function give_up()
  local state, problem
  if job.dl <= now and (job.qf or job.pt) then
    state, problem = TIMED_OUT, PROBLEM_TIMED_OUT
  elseif not job.qf then
    state = LOST
  elseif job.at >= job.ma then
    state, problem = FAILED, PROBLEM_ATTEMPTS:gsub('%%', text(job.at))
  else
    return nil
  end
  revoke(state, problem)
  return state
end

-- Takes a pending job from its holder: frees it to be claimed, leaves it to an outside party, or
-- ends it if no worker may re-run it.
local function lapse(after, counts, token, span)
  if go_outside(token, span) then
    return 'outside'
  end
  if not counts and job.sd then
    job.at = max(job.at - 1, 0)
  end
  local state = give_up()
  if state then
    return 'ended', state
  end
  call('HDEL', PARTS, 'pg', 'pa')
  job.st, job.sd = QUEUED, false
  forget_party()
  job.ep = job.ep + 1
  free(add(now, after))
  return 'queued'
end

-- Shortens the time until which the job waits.
local function shorten_wait(by)
  if not is_pending(job) then
    job.nd = job.nd - by
  elseif not job.pu then
    job.du = job.du - by
  else
    job.pu = job.pu - by
    if job.hl == OUTSIDE then
      hold_outside(job.pu)
    end
  end
end

-- Gives a job to a new holder.
local function hand_over()
  job.st, job.hl, job.tu = RUNNING, WORKER, false
  job.du = add(now, lease)
  job.ep = job.ep + 1
end

-- The answer to a claim: the row, its parts, and the fingerprint of its key.
local function claimed(...)
  local held = job.dg and call('HGET', KEYS_OF, job.dg)
  local print = held and held:sub(1, 32) == id and held:sub(33, 96)
  return answer('claimed', call('GET', JOB), call('HMGET', PARTS, ...), print or '')
end

-- The fate of a lease that is not held.
local function not_held()
  if failure then
    return 'lost'
  elseif not job or job.st == VOID and job.du <= now then
    return 'missing'
  end
  return job.st == CANCELLED and 'cancelled' or 'lost'
end

-- Ends a pending job that cannot be read as failed, or deletes one that has ended.
local function end_unreadable(row, member)
  call('ZREM', SINCE, id)
  local was_pending = call('ZREM', LEASES, id) + call('ZREM', PENDING, id) > 0
  if member then
    was_pending = call('ZREM', READY, member) + call('ZREM', ROUTES, member) > 0 or was_pending
  end
  if was_pending then
    local owner = row.oh or ''
    count_pending(COUNTS, owner, nil, -1)
    if member or row.st == QUEUED then
      count_waiting(owner, -1)
    end
    row.st, row.hl, row.ep, row.en, row.tu = FAILED, 0, (row.ep or 0) + 1, now, nil
    write(row)
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
