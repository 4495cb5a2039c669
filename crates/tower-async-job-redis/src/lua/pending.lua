-- Whether each of these jobs is pending.
local states = {}
for place, key in ipairs(KEYS) do
  local state = call('HGET', key, 'st')
  states[place] = (state == '0' or state == '1') and 1 or 0
end
return states
