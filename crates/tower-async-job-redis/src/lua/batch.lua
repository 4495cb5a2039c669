
-- Changes the jobs of this batch. Each has keys as in `job.lua`, and arguments that follow their number.
local WIDTH = 13
local answers, place = {}, 2
for key = 1, #KEYS, WIDTH do
  local last = place + ARGV[place]
  answers[#answers + 1] = common and common(key, place)
    or change({ unpack(KEYS, key, key + WIDTH - 1) }, { unpack(ARGV, place, last) })
  place = last + 1
end
return answers
