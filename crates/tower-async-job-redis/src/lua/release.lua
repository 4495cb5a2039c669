-- 4 epoch, 5 delay, 6 whether the run counts, 7 token of an outside party, 8 its time
load()
if not is_held_by(tonumber(ARGV[4])) then
  return answer('lost')
end
exempt()
local fate, state = lapse(tonumber(ARGV[5]), ARGV[6] ~= '', ARGV[7], tonumber(ARGV[8]))
save()
return answer(fate, state or 0)
