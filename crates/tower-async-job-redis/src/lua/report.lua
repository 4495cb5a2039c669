load()
if failure then
  return answer(failure)
elseif not is_held_by(tonumber(ARGV[4])) then
  return answer('lost')
end
report(5)
save()
return answer('ok')
