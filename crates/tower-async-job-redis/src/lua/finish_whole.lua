-- Ends a running job with a response in one piece, if it has no key, notification, chunks or outside
-- party. Such ends are the most, and so are not delayed by the functions of all others; see
-- `finish.lua`.
local function common(key, place)
  local id, _, held, state, is_response, response, length, chunks, report = unpack(ARGV, place + 1, place + 9)
  if is_response == '' or chunks ~= '' or report ~= '0000' then
    return nil
  end
  local JOB, PARTS, _, LEASES, _, DUE, _, _, _, COUNTS = unpack(KEYS, key, key + 9)
  local epoch, request, keep, owner, rest = (call('GET', JOB) or ''):match(
    '^f=' .. FORMAT .. ' st=1 hl=1 ep=(%d+) du=%d+(.-) kp=(%d+) oh=(%x*)( cr=.*)$')
  if epoch ~= held or not (request == '' or request:find('^ qf=%d+ ql=%d+$')) then
    return nil
  end
  local change = text(add(now, keep))
  call('HSET', PARTS, 'r', response)
  call('HDEL', PARTS, 'q', 'ck')
  call('SET', JOB, 'f=' .. FORMAT .. ' st=' .. state .. ' hl=0 ep=' .. epoch .. ' du=' .. change .. ' en=' .. text(now)
    .. ' bl=' .. length .. ' kp=' .. keep .. ' oh=' .. owner .. rest)
  count_pending(COUNTS, owner, nil, -1)
  call('ZREM', LEASES, id)
  call('ZADD', DUE, change, id)
  return { now, 1, 'ok' }
end
