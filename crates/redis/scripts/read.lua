-- What comes after a seq of an epoch: whether more follows, then seqs and entries.
local asked, after, base = ARGV[14], tonumber(ARGV[15]), tonumber(ARGV[16] ~= '' and ARGV[16] or ARGV[15])
local function read_stream()
  local from, chunk = math.max(after + 1, first), 8
  while from <= head do
    local entries = redis.call('XRANGE', log, digits(from) .. '-0', '+', 'COUNT', chunk)
    if #entries == 0 then
      return false
    end
    for _, entry in ipairs(entries) do
      if not take(from, entry[2][2]) then
        return true
      end
      from = from + 1
    end
    chunk = 2 * chunk
  end
  return true
end

-- Deletions up to the base are left out: a snapshot that began there never showed their keys.
local function read_state()
  local present = redis.call('ZRANGEBYSCORE', seqs, '(' .. digits(after), '+inf', 'WITHSCORES', 'LIMIT', 0, most + 1)
  local deleted = redis.call('ZRANGEBYSCORE', tomb, '(' .. digits(math.max(after, base)), '+inf', 'WITHSCORES',
    'LIMIT', 0, most + 1)
  local one, other = 1, 1
  while present[one] or deleted[other] do
    local seq_one, seq_other = tonumber(present[one + 1] or math.huge), tonumber(deleted[other + 1] or math.huge)
    local key, seq
    if seq_one < seq_other then
      key, seq, one = present[one], seq_one, one + 2
    else
      key, seq, other = deleted[other], seq_other, other + 2
    end
    if not take(seq, redis.call('HGET', keys, key)) then
      return
    end
  end
end

if asked == epoch and after <= head then
  if is_state then
    read_state()
  elseif after >= first - 1 and not read_stream() then
    -- Somebody took the log away, and left what tells of it.
    begin()
    found, more = {}, 0
  end
end
return page()
