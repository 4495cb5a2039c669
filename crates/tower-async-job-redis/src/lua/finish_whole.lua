-- Ends a running job with a response in one piece. Such ends are the most, and so are not delayed by
-- the functions of all others.
if ARGV[8] ~= '' and ARGV[9] == '' and ARGV[10] == '0000' then
  local format, state, holder, epoch, attempt, attempts, reports, due, deadline, created, keep, tombstone, owner,
    digest, notice, chunks = unpack(call('HMGET', JOB, 'f', 'st', 'hl', 'ep', 'at', 'ma', 'rp', 'du', 'dl', 'cr',
      'kp', 'tm', 'oh', 'dg', 'nl', 'cw'))
  local is_held = state == '1' and holder == '1' and epoch == ARGV[4]
  local is_whole = attempt and attempts and reports and due and deadline and created and tombstone and owner
  keep = keep and tonumber(keep)
  if format == text(FORMAT) and is_held and is_whole and keep and not (digest or notice or chunks) then
    local change = text(add(now, keep))
    call('HSET', PARTS, 'r', ARGV[7])
    call('HDEL', PARTS, 'q', 'ck')
    call('HSET', JOB, 'st', ARGV[5], 'hl', '0', 'en', text(now), 'du', change, 'bl', ARGV[8])
    call('HDEL', JOB, 'qf', 'ql', 'pt', 'pu', 'rs')
    count_pending(owner, nil, -1)
    call('ZREM', LEASES, id)
    call('ZADD', DUE, change, id)
    return { now, 1, 'ok' }
  end
end
