local held = call('HGET', KEYS[1], ARGV[2])
if not held or now >= tonumber(held:sub(97)) then
  return { text(now), 0, 'none' }
elseif held:sub(33, 96) ~= ARGV[3] then
  return { text(now), 0, 'reused' }
end
return { text(now), 0, 'existing', held:sub(1, 32) }
