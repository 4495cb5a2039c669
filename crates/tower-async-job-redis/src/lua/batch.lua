
-- Changes the jobs of this batch. Each has keys as in `job.lua`, and arguments that follow their number.
local WIDTH = 14
local answers, place = {}, 2
for key = 1, #KEYS, WIDTH do
  local last = place + ARGV[place]
  local made, one = true, common and common(key, place)
  if not one then
    made, one = pcall(change, { unpack(KEYS, key, key + WIDTH - 1) }, { unpack(ARGV, place, last) })
  end
  if not made then
    -- A server that refuses changes refuses the first, and all are repeated alone.
    if #answers == 0 then
      -- The words of the server begin with its code.
      return redis.error_reply(one)
    end
    one = { now, 0, 'refused' }
  end
  answers[#answers + 1] = one
  place = last + 1
end
return answers
