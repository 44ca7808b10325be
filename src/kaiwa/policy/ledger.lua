-- The arithmetic of book.py inside Redis: one call is one atomic step and one round trip.
--
-- KEYS  1 counts  hash   "tokens:minute:window" and "tokens:minute:used"
--       2 leases  zset   hold id, by the millisecond its lease ends
--       3 grants  hash   hold id -> "minute,day,requests,tokens,money,requests,tokens,money":
--                        windows, what was reserved, and what of it is known to be spent
-- ARGV  1 what to do: reserve | exchange | settle | settle_again | renew | standing
--       2 now in ms, 0: the clock of Redis      3 lease in ms      4 hold id
--       5-7   reserve, exchange: wanted at most; settle: used in all; renew: used so far
--       8-10  reserve, exchange: needed at least
--       11-13 exchange: used of the old share
--       14..  limits, three each: kind (1 requests, 2 tokens, 3 money), period in s, most
-- Gives {1 or 0, number of the limit that was reached, now in ms, requests, tokens, money, used of each limit…}

local KIND = {'requests', 'tokens', 'money'}
local KEPT_S = 172800
local counts, leases, grants = KEYS[1], KEYS[2], KEYS[3]
local act, id = ARGV[1], ARGV[4]

local now = tonumber(ARGV[2])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua would write large numbers as 1e+15.
local function text(number) return string.format('%.0f', number) end

local function numbers(first) return { tonumber(ARGV[first]), tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2]) } end

local function window(period) return math.floor(now / (period * 1000)) end

local limits = {}
for at = 14, #ARGV, 3 do
  local period = tonumber(ARGV[at + 1])
  limits[#limits + 1] = {
    kind = tonumber(ARGV[at]), period = period, most = tonumber(ARGV[at + 2]),
    name = KIND[tonumber(ARGV[at])] .. ':' .. text(period),
  }
end

local function used(limit)
  local found = redis.call('HMGET', counts, limit.name .. ':window', limit.name .. ':used')
  if found[1] and tonumber(found[1]) == window(limit.period) then return tonumber(found[2]) end
  return 0
end

local function count(limit, amount)
  local total = math.max(0, used(limit) + amount)
  redis.call('HSET', counts, limit.name .. ':window', text(window(limit.period)), limit.name .. ':used', text(total))
end

local function grant_of(hold)
  local kept = redis.call('HGET', grants, hold)
  if not kept then return nil end
  local parts = {}
  for part in string.gmatch(kept, '[^,]+') do parts[#parts + 1] = tonumber(part) end
  return {
    minute = parts[1], day = parts[2],
    amount = { parts[3], parts[4], parts[5] }, told = { parts[6], parts[7], parts[8] },
  }
end

local function keep(hold, grant)
  local a, t = grant.amount, grant.told
  redis.call('HSET', grants, hold, table.concat({
    text(grant.minute), text(grant.day), text(a[1]), text(a[2]), text(a[3]), text(t[1]), text(t[2]), text(t[3]) }, ','))
  redis.call('ZADD', leases, text(now + tonumber(ARGV[3])), hold)
end

local function forget(hold)
  redis.call('HDEL', grants, hold)
  redis.call('ZREM', leases, hold)
end

local function fresh(amount) return { minute = window(60), day = window(86400), amount = amount, told = { 0, 0, 0 } } end

-- Correct what a grant counts for; beyond its windows more counts in those of now.
local function settle(grant, actual)
  for _, limit in ipairs(limits) do
    local change = actual[limit.kind] - grant.amount[limit.kind]
    local its = limit.period == 60 and grant.minute or grant.day
    if change ~= 0 and (change > 0 or its == window(limit.period)) then count(limit, change) end
  end
end

-- What processes that are gone had reserved and not spent.
local function reap()
  for _, hold in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', text(now), 'LIMIT', 0, 100)) do
    local grant = hold ~= id and grant_of(hold)
    if grant then settle(grant, grant.told) end
    if hold ~= id then forget(hold) end
  end
end

local function answer(ok, reached, amount)
  local told = { ok, reached, now, amount[1], amount[2], amount[3] }
  for _, limit in ipairs(limits) do told[#told + 1] = used(limit) end
  return told
end

local function reserve()
  local most, least = numbers(5), numbers(8)
  local worst, room = 0, { most[1], most[2], most[3] }
  for number, limit in ipairs(limits) do
    local kind = limit.kind
    if most[kind] > 0 then
      local left = limit.most - used(limit)
      if left <= 0 or left < least[kind] then
        if worst == 0 or limit.period > limits[worst].period then worst = number end
      else
        room[kind] = math.min(room[kind], left)
      end
    end
  end
  if worst > 0 then return worst end
  for _, limit in ipairs(limits) do count(limit, room[limit.kind]) end
  keep(id, fresh(room))
  return 0, room
end

reap()
local nothing = { 0, 0, 0 }
local ok, reached, amount = 1, 0, nothing

if act == 'reserve' then
  local worst, room = reserve()
  if worst > 0 then ok, reached = 0, worst else amount = room end
elseif act == 'exchange' then
  -- A lease that ran out was given back but for what was known to be spent: the rest counts now.
  settle(grant_of(id) or fresh(nothing), numbers(11))
  local worst, room = reserve()
  if worst > 0 then
    ok, reached = 0, worst
    keep(id, fresh(nothing))
  else
    amount = room
  end
elseif act == 'settle' then
  settle(grant_of(id) or fresh(nothing), numbers(5))
  forget(id)
elseif act == 'settle_again' then
  -- Whether the first try came through is not known; then the hold is gone, and is not charged twice.
  local grant = grant_of(id)
  if grant then settle(grant, numbers(5)) end
  forget(id)
elseif act == 'renew' then
  local grant = grant_of(id)
  if grant then
    grant.told = numbers(5)
    keep(id, grant)
  else
    ok = 0
  end
end

if act ~= 'standing' then
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, KEPT_S) end
end
return answer(ok, reached, amount)
