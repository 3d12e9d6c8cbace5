-- Ends an epoch, if it is still the log's.
if epoch == ARGV[14] then
  begin()
end
local told = answer()
finish()
return told
