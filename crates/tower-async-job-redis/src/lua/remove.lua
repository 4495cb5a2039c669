load()
if failure then
  return answer(failure)
elseif not job or is_pending(job) or not state_now() then
  return answer('none')
end
exempt()
if is_wanted() then
  -- Otherwise a repeat would run the work again, or the end would not be notified.
  drop_result()
else
  -- Its run may still be alive, and must not consider the job missing.
  become_void(add(now, void_span()))
end
save()
return answer('ok')
