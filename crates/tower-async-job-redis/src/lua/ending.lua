local ENDED, PLAIN = text(now) .. ' 1 ok',
  '^f=' .. FORMAT .. ' st=1 hl=1 ep=(%d+) du=%d+(.-) kp=(%d+) oh=(%x*)( cr=.*)$'

-- Ends a running job with a response in one piece, if it has no key, notification, chunks or outside
-- party. Such ends are the most, and so are not delayed by the functions of all others; see
-- `finish.lua`.
local function end_plain(JOB, PARTS, LEASES, DUE, COUNTS, id, held, response, length)
  local epoch, request, keep, owner, rest = (call('GET', JOB) or ''):match(PLAIN)
  if epoch ~= held or not (request == '' or request:find('^ qf=%d+ ql=%d+$')) then
    return nil
  end
  local change = text(add(now, keep))
  call('HSET', PARTS, 'r', response)
  call('HDEL', PARTS, 'q', 'ck')
  call('SET', JOB, 'f=' .. FORMAT .. ' st=2 hl=0 ep=' .. epoch .. ' du=' .. change .. ' en=' .. text(now)
    .. ' bl=' .. length .. ' kp=' .. keep .. ' oh=' .. owner .. rest)
  count_pending(COUNTS, owner, nil, -1)
  call('ZREM', LEASES, id)
  call('ZADD', DUE, change, id)
  return ENDED
end
