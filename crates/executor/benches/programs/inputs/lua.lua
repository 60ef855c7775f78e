-- Tables, closures, strings, a sort and a sieve.
local state = 12345
local function random()
    state = (state * 75 + 74) % 65537
    return state
end
local words = {}
for i = 1, 20000 do
    words[i] = { key = "w" .. random() % 997, value = random() % 1000 }
end
table.sort(words, function(a, b)
    if a.value ~= b.value then return a.value < b.value end
    return a.key < b.key
end)
local sums = {}
for _, word in ipairs(words) do
    sums[word.key] = (sums[word.key] or 0) + word.value
end
local sieve, count = {}, 0
for n = 2, 200000 do
    if not sieve[n] then
        count = count + 1
        for m = n + n, 200000, n do sieve[m] = true end
    end
end
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(words[1].key, sums.w1, count, fib(22), #string.rep("x", 10000):gsub("x", "yz"))
