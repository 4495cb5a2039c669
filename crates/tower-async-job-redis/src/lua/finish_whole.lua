local function common(key, place)
  local id, _, held, _, is_response, response, length, chunks, report = unpack(ARGV, place + 1, place + 9)
  if is_response == '' or chunks ~= '' or report ~= '0000' then
    return nil
  end
  local JOB, PARTS, _, LEASES, _, DUE, _, _, _, COUNTS = unpack(KEYS, key, key + 9)
  return end_plain(JOB, PARTS, LEASES, DUE, COUNTS, id, held, response, length)
end
