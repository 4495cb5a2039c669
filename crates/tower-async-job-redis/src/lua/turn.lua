-- The next turn of the owner: one after the later of the first turn that waits, and the owner's
-- last. A node that claims knows the first one. A shard knows the first of its own jobs of the
-- route, and the latest turn that was claimed from it: of all shards, the lower one is nearer.
local function next_turn(first, own)
  if not first then
    local lowest = call('ZRANGEBYLEX', ROUTES, '[' .. job.rh, '(' .. job.rh .. 'g', 'LIMIT', '0', '1')
    lowest = lowest[1] and tonumber(lowest[1]:sub(17, 32)) or 0
    first = min(lowest, tonumber(call('HGET', COUNTS, 't') or 0))
  end
  local field = 'l:' .. job.oh
  local last = tonumber(call('HGET', COUNTS, field) or 0)
  local turn = max(first, last, own or 0) + 1
  call('HSET', COUNTS, field, text(turn))
  return turn
end

-- Frees a queued job, which may be claimed from then on.
local function free(since, first, own)
  job.hl = 0
  if since <= now then
    job.tu = next_turn(first, own)
    job.du = job.dl
  else
    job.tu = false
    job.du = min(since, job.dl)
  end
end
