-- Asks the gateway about a request: sets txn.auth_status, and txn.auth_tool and txn.auth_user
-- where the gateway names them. Nothing of the client's own headers is sent but what is named here.

local QUESTIONS = "unix@/etc/forward-auth/ask.sock"
local TIMEOUT = 10000 -- milliseconds

local function first(headers, name)
  local values = headers and headers[name]
  return values and values[0]
end

local function ask(txn)
  txn:set_var("txn.auth_status", 503)
  local headers = {
    ["x-original-method"] = { txn.sf:method() },
    ["x-original-uri"] = { txn.sf:pathq() },
    ["x-original-host"] = { txn.sf:req_hdr("host") },
    ["x-real-ip"] = { txn.sf:src() },
  }
  local certificate = txn:get_var("txn.certificate")
  if certificate then
    headers["x-client-certificate"] = { certificate }
  end
  -- What says that another site's page has sent it.
  for _, name in ipairs({ "origin", "sec-fetch-site" }) do
    local value = txn.sf:req_fhdr(name)
    if value and value ~= "" then
      headers[name] = { value }
    end
  end
  local answer = core.httpclient():get({
    url = "http://gateway/auth",
    dst = QUESTIONS,
    headers = headers,
    timeout = TIMEOUT,
  })
  txn:set_var("txn.auth_status", answer.status or 503)
  if answer.status == 200 then
    local tool = first(answer.headers, "x-toolforge-tool")
    local user = first(answer.headers, "x-toolforge-user")
    if tool then txn:set_var("txn.auth_tool", tool) end
    if user then txn:set_var("txn.auth_user", user) end
  end
end

core.register_action("ask_gateway", { "http-req" }, ask)
