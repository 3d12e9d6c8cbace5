-- Where the log stands, and the seq of the message with an id, if it is known. The last of KEYS is where it would be.
local known_epoch, known_seq = string.match(redis.call('GET', KEYS[#KEYS]) or '', '^(%w+)-(%d+)$')
local told = answer(known_epoch == epoch and tonumber(known_seq) or -1)
finish()
return told
