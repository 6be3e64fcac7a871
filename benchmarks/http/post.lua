-- What wrk sends; told by the environment that benchmarks.http.load gives it.
wrk.method = "POST"
wrk.body = os.getenv("BODY")
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")

local header = os.getenv("HEADER")
if header then
   local name, value = header:match("^(.-): (.*)$")
   wrk.headers[name] = value
end

local vary, number = os.getenv("VARY"), 0

if vary == "session" then -- the path has a %d for the session's number; connections take their turns
   function request()
      number = (number + 1) % 64
      return wrk.format(nil, string.format(wrk.path, number))
   end
elseif vary == "key" then
   local run = tostring(os.time()) .. tostring(os.clock())
   function request()
      number = number + 1
      wrk.headers["Idempotency-Key"] = run .. "-" .. number
      return wrk.format()
   end
end
