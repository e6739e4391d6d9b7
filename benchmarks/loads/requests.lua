-- wrk: send the requests of a file, in random order on each connection.
--
-- wrk -s requests.lua URL -- FILE
-- FILE: for each request a line with its length in bytes, and then the request.

local requests = {}

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    for length in function() return file:read("*l") end do
        requests[#requests + 1] = assert(file:read(tonumber(length)))
    end
    file:close()
    math.randomseed(1)
end

function request()
    return requests[math.random(#requests)]
end
