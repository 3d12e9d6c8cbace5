-- The newest entries that are present before a seq, newest first: whether older ones are left, then seqs and entries.
local before = tonumber(ARGV[14]) or head + 1
local function read_stream()
  local from, chunk = math.min(before - 1, head), 8
  while from >= first do
    local entries = redis.call('XREVRANGE', log, digits(from) .. '-0', digits(first) .. '-0', 'COUNT', chunk)
    for _, entry in ipairs(entries) do
      if not take(from, entry[2][2]) then
        return
      end
      from = from - 1
    end
    if #entries == 0 then
      return
    end
    chunk = 2 * chunk
  end
end

local function read_state()
  local present = redis.call('ZREVRANGEBYSCORE', seqs, '(' .. digits(before), '-inf', 'WITHSCORES', 'LIMIT', 0, most + 1)
  for index = 1, #present, 2 do
    if not take(tonumber(present[index + 1]), redis.call('HGET', keys, present[index])) then
      return
    end
  end
end

if is_state then
  read_state()
else
  read_stream()
end
return page()
