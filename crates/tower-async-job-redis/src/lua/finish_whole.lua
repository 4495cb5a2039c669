-- Ends a running job with a response in one piece, if it has no key, notification, chunks or outside
-- party. Such ends are the most, and so are not delayed by the functions of all others.
if ARGV[6] ~= '' and ARGV[9] == '' and ARGV[10] == '0000' then
  local row = call('GET', JOB) or ''
  local epoch, request, keep, owner, rest = row:match(
    '^f=' .. FORMAT .. ' st=1 hl=1 ep=(%d+) du=%d+(.-) kp=(%d+) oh=(%x*)( cr=.*)$')
  if epoch == ARGV[4] and (request == '' or request:find('^ qf=%d+ ql=%d+$')) then
    local change = text(add(now, keep))
    call('HSET', PARTS, 'r', ARGV[7])
    call('HDEL', PARTS, 'q', 'ck')
    call('SET', JOB, 'f=' .. FORMAT .. ' st=' .. ARGV[5] .. ' hl=0 ep=' .. epoch .. ' du=' .. change .. ' en='
      .. text(now) .. ' bl=' .. ARGV[8] .. ' kp=' .. keep .. ' oh=' .. owner .. rest)
    count_pending(owner, nil, -1)
    call('ZREM', LEASES, id)
    call('ZADD', DUE, change, id)
    return { now, 1, 'ok' }
  end
end
