-- The ids that have this handle. 2 handle
local found = {}
for _, key in ipairs(KEYS) do
  local id = call('HGET', key, ARGV[2])
  if id then
    found[#found + 1] = id
  end
end
return found
