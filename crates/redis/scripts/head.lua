-- Where the log stands.
local told = answer()
finish()
return told
