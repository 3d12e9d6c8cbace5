-- Appends a message, unless its id is known. The last of KEYS is where the id is remembered, if there is one.
local stored, size, cost = ARGV[14], tonumber(ARGV[15]), tonumber(ARGV[16])
local has_id, id_ms = ARGV[17] == '1', ARGV[18]
local key, is_deletion = ARGV[19], ARGV[20] == '1'
local condition, key_ttl = tonumber(ARGV[21]), tonumber(ARGV[22])
local holder, shows = ARGV[23], ARGV[24]
local id_key = KEYS[#KEYS]

local function done(status, ...)
  finish()
  return { status, ... }
end

local function remember(seq)
  if has_id then
    redis.call('SET', id_key, epoch .. '-' .. digits(seq), 'PX', id_ms)
  end
end

-- Who holds the key: what it shows, and then the holders.
local function held()
  local packed = redis.call('HGET', hold, key)
  return packed and cmsgpack.unpack(packed)
end

local function hold_on(names)
  local is_new = true
  for index = 2, #names do
    is_new = is_new and names[index] ~= holder
  end
  if is_new and #names > MOST_HOLDERS then
    table.remove(names, 2)
  end
  if is_new then
    names[#names + 1] = holder
  end
  redis.call('HSET', hold, key, cmsgpack.pack(names))
end

-- True while others are left.
local function let_go(names)
  local left = { names[1] }
  for index = 2, #names do
    if names[index] ~= holder then
      left[#left + 1] = names[index]
    end
  end
  redis.call('HSET', hold, key, cmsgpack.pack(left))
  return #left > 1
end

-- The seq that answers a draft for which nothing is to be appended, and whether it repeats what is there.
local function goes_without_saying(present)
  if present == 0 then
    if is_deletion then
      return head, 0
    end
    return nil
  end
  local names = holder ~= '' and held()
  if not names then
    return nil
  end
  if is_deletion then
    if let_go(names) then
      return head, 0
    end
  elseif shows == '' or shows == names[1] then
    hold_on(names)
    return present, 1
  end
end

local function append_to_stream()
  local at = math.max(now, last)
  if first > head then
    oldest, filled = at, true
  end
  redis.call('XADD', log, digits(head + 1) .. '-0', 'm', struct.pack('>I8I4I4', at, size, cost) .. stored)
  head, last, bytes, changed = head + 1, at, bytes + cost, true
  tell(head, at, stored)
  forget(at)
end

local function has_room(present)
  local old = cost_of(key)
  local crowded = present == 0 and redis.call('ZCARD', seqs) >= keep
  return not crowded and not (cost > old and bytes - old + cost > keep_bytes)
end

local function append_to_state()
  local names = not is_deletion and holder ~= '' and (held() or { shows })
  local until_ms = key_ttl and math.max(now, last) + key_ttl
  put(key, size, cost, stored, is_deletion, until_ms)
  if names then
    names[1] = shows
    hold_on(names)
  elseif not is_deletion then
    redis.call('HDEL', hold, key)
  end
end

if has_id then
  local known_epoch, known_seq = string.match(redis.call('GET', id_key) or '', '^(%w+)-(%d+)$')
  if known_epoch == epoch then
    return done('ok', epoch, tonumber(known_seq), 1)
  end
end

if is_state then
  if key == '' then
    return done('no key')
  end
  local present = tonumber(redis.call('ZSCORE', seqs, key) or 0)
  if condition and condition ~= present then
    return done('conflict', present)
  end
  local seq, repeats = goes_without_saying(present)
  if seq then
    if has_id then
      last, changed = math.max(now, last), true
      remember(seq)
    end
    return done('ok', epoch, seq, repeats)
  end
  if head < MAX_SEQ and not is_deletion and not has_room(present) then
    return done('full')
  end
end
if head >= MAX_SEQ then
  return done('exhausted', epoch)
end

if is_state then
  append_to_state()
else
  append_to_stream()
end
remember(head)
return done('ok', epoch, head, 0)
