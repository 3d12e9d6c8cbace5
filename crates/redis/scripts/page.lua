-- A page of entries, within the limits that the last two of ARGV are.
local most, most_bytes = tonumber(ARGV[#ARGV - 1]), tonumber(ARGV[#ARGV])
local found, count, size, more = {}, 0, 0, 0

-- False where the limit is reached.
local function take(seq, entry)
  local _, length = struct.unpack('>I8I4', entry)
  size = size + length
  if count >= most or (count > 0 and size > most_bytes) then
    more = 1
    return false
  end
  count = count + 1
  found[2 * count - 1], found[2 * count] = seq, entry
  return true
end

-- Whether there is more, then seqs and entries.
local function page()
  local told = answer(more)
  for index = 1, #found do
    told[#told + 1] = found[index]
  end
  finish()
  return told
end

