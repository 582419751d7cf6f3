-- SPDX-License-Identifier: MIT
-- An HTTP interface that answers with pages of JSON:
--
--   lathe.read { sources = { { "pages", url = "https://example.org/api/snippets", items = "data.items",
--     code = "source", description = "title", next = "links.next", headers = { Authorization = "Bearer $TOKEN" } } } }
--
-- "$NAME" in a header is taken from the environment when the request is sent, and is written nowhere.

return {
  name = "pages",
  version = 1,
  description = "Items of an HTTP interface that answers with pages of JSON.",
  options = {
    url = { type = "string", required = true, help = "the first page" },
    items = { type = "string", help = "the path of the list in an answer, such as data.items (default: the answer is the list)" },
    code = { type = "string", default = "code", help = "the path of the code in an item" },
    description = { type = "string", default = "description", help = "the path of the description in an item" },
    keep = { type = "table", default = {}, help = "metadata: { name = path in an item }" },
    next = { type = "string", help = "the path of the next page's URL in an answer" },
    cursor = { type = "string", help = "the path of a cursor in an answer, which goes into `parameter`" },
    page = { type = "integer", help = "the first page's number, which goes into `parameter` and is counted up" },
    parameter = { type = "string", help = "the name of that parameter (page, or cursor)" },
    headers = { type = "table", default = {}, help = "headers to send" },
    max_pages = { type = "integer", default = 10000, min = 1, help = "pages to read at most" },
    http = { type = "table", default = {}, help = "attempts, allow_private, idle_seconds … of requests" },
  },
  positional = { "url" },
  list = function(ctx, emit)
    emit { path = (ctx.options.url:gsub("[?#].*", "")), id = ctx.options.url }
    return true
  end,
  extract = function(_, ctx, emit)
    local o = ctx.options
    for item, number in ctx:pages { url = o.url, items = o.items, next = o.next, cursor = o.cursor, page = o.page,
      parameter = o.parameter, headers = o.headers, max_pages = o.max_pages } do
      local metadata = { page = number }
      for name, path in pairs(o.keep) do metadata[name] = ctx:member(item, path) end
      emit { description = ctx:member(item, o.description), code = ctx:member(item, o.code), metadata = metadata }
    end
    return true
  end,
}
