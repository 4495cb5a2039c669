-- Whether each of these jobs is pending.
local states = {}
for place, key in ipairs(KEYS) do
  local row = call('GET', key)
  states[place] = row and row:find('^f=%d+ st=[01] ') and 1 or 0
end
return states
