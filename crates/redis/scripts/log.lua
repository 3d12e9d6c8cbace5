-- What every script begins with: the log of one channel, as core/src/log has it. The script that follows this one in
-- the same text works with the functions below, and ends with finish().
--
-- KEYS: of a stream meta and log; of a state meta, keys, seqs, tomb, exp and hold.
--   meta  hash: epoch e, server i, durable d, kind k, head h, first or floor f, bytes b, last append a, oldest o
--   log   stream: an entry for each message, under the id <seq>-0
--   keys  hash: the newest entry of each key, deletions included
--   seqs  sorted set: keys that are present, by seq
--   tomb  sorted set: keys that were deleted, by seq
--   exp   sorted set: keys that leave by themselves, by when
--   hold  hash: of a key that somebody holds, what it shows and its holders
-- An entry is at (8 bytes), bytes of payload (4), cost (4), and the message as it is stored.
local meta = KEYS[1]
local server, durable, keeps, replid = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local fresh_epoch, deletion_stem, deletion_cost = ARGV[5], ARGV[6], tonumber(ARGV[7])
local feed, kind = ARGV[8], ARGV[9]
local keep, keep_bytes = tonumber(ARGV[10]), tonumber(ARGV[11])
local ttl, idle = tonumber(ARGV[12]), tonumber(ARGV[13])
local is_state = kind == 'state'
local log = KEYS[2]
local keys, seqs, tomb, exp, hold = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

local ALL = { 'meta', 'log', 'keys', 'seqs', 'tomb', 'exp', 'hold' }
local MAX_SEQ, MOST_DELETIONS, MOST_HOLDERS = 9007199254740991, 1000, 64
local HOUR, DAY = 3600000, 86400000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local epoch, head, first, floor, bytes, last, oldest
local changed, filled, news = false, false, {}

-- Lua writes numbers above 10^14 with an exponent.
local function digits(number)
  return string.format('%.0f', number)
end

-- A new life: nothing of an earlier one may be left, whatever kind of log it was.
local function begin()
  local stem, gone = string.sub(meta, 1, -5), {}
  for index, name in ipairs(ALL) do
    gone[index] = stem .. name
  end
  redis.call('UNLINK', unpack(gone))
  epoch, head, first, floor, bytes, last, oldest = fresh_epoch, 0, 1, 0, 0, 0, 0
  redis.call('HSET', meta, 'e', epoch, 'i', server, 'd', durable, 'k', kind)
  redis.call('PEXPIRE', meta, math.max(idle, DAY + 2 * HOUR))
end

-- False if this is not the server that the caller takes it for: it was another's replica meanwhile.
local function load()
  if replid ~= '' and not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. replid, 1, true) then
    return false
  end
  local m = redis.call('HMGET', meta, 'e', 'i', 'd', 'k', 'h', 'f', 'b', 'a', 'o')
  local goes_on = m[1] and m[4] == kind
    and (m[2] == server or keeps == 'always' or (keeps == 'durable' and m[3] == '1'))
  if not goes_on then
    begin()
    return true
  end
  if m[2] ~= server or m[3] ~= durable then
    redis.call('HSET', meta, 'i', server, 'd', durable)
  end
  epoch, head, bytes = m[1], tonumber(m[5] or 0), tonumber(m[7] or 0)
  last, oldest = tonumber(m[8] or 0), tonumber(m[9] or 0)
  first, floor = tonumber(m[6] or 1), 0
  if is_state then
    floor = tonumber(m[6] or 0)
  end
  return true
end

local function tell(seq, at, stored)
  news[#news + 1] = struct.pack('>I8I8B', seq, at, #epoch) .. epoch .. stored
end

-- Streams

-- Lets messages go that exceed a bound, oldest first. `oldest` is no later than when the first of them came.
local function forget(at)
  local before = first
  if first <= head and at - last >= ttl then
    first, bytes = head + 1, 0
  end
  while first <= head
    and (at - oldest >= ttl or head - first >= keep or (bytes > keep_bytes and first < head)) do
    local found = redis.call('XRANGE', log, digits(first) .. '-0', '+', 'COUNT', 1)[1]
    if not found then
      first, bytes = head + 1, 0
      break
    end
    local came, _, cost = struct.unpack('>I8I4I4', found[2][2])
    oldest = came
    local over = head - first >= keep or bytes > keep_bytes
    if at - came < ttl and not (over and first < head) then
      changed = true
      break
    end
    bytes, first = bytes - cost, first + 1
  end
  if first > before then
    changed = true
    if first > head then
      redis.call('UNLINK', log)
    else
      redis.call('XTRIM', log, 'MINID', '~', digits(first) .. '-0')
    end
  end
end

-- States

local function cost_of(key)
  local entry = redis.call('HGET', keys, key)
  if not entry then
    return 0
  end
  local _, _, cost = struct.unpack('>I8I4I4', entry)
  return cost
end

local function forget_deletions()
  while redis.call('ZCARD', tomb) > MOST_DELETIONS do
    local key, seq = unpack(redis.call('ZPOPMIN', tomb))
    floor = tonumber(seq)
    bytes = bytes - cost_of(key)
    redis.call('HDEL', keys, key)
  end
end

-- Puts an entry in the place of its key's.
local function put(key, size, cost, stored, is_deletion, until_ms)
  local at = math.max(now, last)
  head, last, changed = head + 1, at, true
  bytes = bytes - cost_of(key) + cost
  redis.call('HSET', keys, key, struct.pack('>I8I4I4', at, size, cost) .. stored)
  if is_deletion then
    redis.call('ZADD', tomb, digits(head), key)
    redis.call('ZREM', seqs, key)
    redis.call('HDEL', hold, key)
    forget_deletions()
  else
    redis.call('ZADD', seqs, digits(head), key)
    redis.call('ZREM', tomb, key)
  end
  if until_ms then
    redis.call('ZADD', exp, digits(until_ms), key)
  else
    redis.call('ZREM', exp, key)
  end
  tell(head, at, stored)
end

-- Lets keys leave whose time is over.
local function expire()
  while head < MAX_SEQ do
    local due = redis.call('ZRANGEBYSCORE', exp, '-inf', digits(now), 'LIMIT', 0, 100)
    if #due == 0 then
      return
    end
    for _, key in ipairs(due) do
      if head < MAX_SEQ then
        put(key, 0, deletion_cost + #key, deletion_stem .. struct.pack('>I2', #key) .. key, true, nil)
      end
    end
  end
end

local function is_due()
  local next_one = redis.call('ZRANGE', exp, 0, 0, 'WITHSCORES')
  return next_one[2] and tonumber(next_one[2]) <= now
end

-- Both

-- What is over leaves before anything is answered.
local function settle()
  if not is_state then
    forget(now)
  elseif is_due() then
    expire()
  end
end

-- The seq of the oldest entry, be it a deletion.
local function oldest_seq()
  if not is_state then
    return first
  end
  local present, deleted = redis.call('ZRANGE', seqs, 0, 0, 'WITHSCORES'), redis.call('ZRANGE', tomb, 0, 0, 'WITHSCORES')
  return math.min(tonumber(present[2] or head + 1), tonumber(deleted[2] or head + 1))
end

local function answer(...)
  return { 'ok', epoch, oldest_seq(), head, floor, ... }
end

-- How long the keys live if nobody comes any more: for ever, where something is retained for ever.
local function touch_stream(left)
  if idle < 0 and first <= head then
    if left >= 0 or filled then
      redis.call('PERSIST', meta)
      redis.call('PERSIST', log)
    end
    return
  end
  local life = math.max(idle, DAY + 2 * HOUR)
  if filled or left < life - HOUR then
    redis.call('PEXPIRE', meta, digits(life))
    redis.call('PEXPIRE', log, digits(life))
  end
end

local function touch_state(left)
  local leaving = redis.call('ZCARD', exp)
  if redis.call('ZCARD', seqs) > leaving then
    if left >= 0 then
      for index = 1, 6 do
        redis.call('PERSIST', KEYS[index])
      end
    end
    return
  end
  local life = DAY + 2 * HOUR
  if leaving > 0 then
    life = life + math.max(0, tonumber(redis.call('ZRANGE', exp, -1, -1, 'WITHSCORES')[2]) - now)
  end
  if changed or left < life - HOUR then
    for index = 1, 6 do
      redis.call('PEXPIRE', KEYS[index], digits(life))
    end
  end
end

-- Writes back what the functions above changed, and tells it. Comes last: what fails before it changed nothing that
-- counts, and what fails in it fails at its first write.
local function finish()
  if changed then
    redis.call('HSET', meta, 'h', digits(head), 'f', digits(is_state and floor or first), 'b', digits(bytes),
      'a', digits(last), 'o', digits(oldest))
  end
  local left = redis.call('PTTL', meta)
  if is_state then
    touch_state(left)
  else
    touch_stream(left)
  end
  for _, one in ipairs(news) do
    redis.call('SPUBLISH', feed, one)
  end
end

if not load() then
  return { 'stranger' }
end
settle()
