-- SPDX-License-Identifier: MIT
-- The separators of LangChain's splitters for languages: what RecursiveCharacterTextSplitter.from_language,
-- MarkdownTextSplitter and LatexTextSplitter cut at. Data, as the packages have it (MIT, LangChain, Inc.):
-- langchain-text-splitters 1.1 for Python, whose lists are regular expressions, and @langchain/textsplitters
-- 1.0 for JavaScript. Checked by tests/reference/chunk_compare.py and tests/text/chunk_test.lua.

local M = {}

local function with_tail(list)
  for _, s in ipairs { "\n\n", "\n", " ", "" } do list[#list + 1] = s end
  return list
end

M.lists = {
  python = {
    c = with_tail { "\nclass ", "\nvoid ", "\nint ", "\nfloat ", "\ndouble ", "\nif ", "\nfor ", "\nwhile ",
      "\nswitch ", "\ncase " },
    cobol = { "\nIDENTIFICATION DIVISION.", "\nENVIRONMENT DIVISION.", "\nDATA DIVISION.", "\nPROCEDURE DIVISION.",
      "\nWORKING-STORAGE SECTION.", "\nLINKAGE SECTION.", "\nFILE SECTION.", "\nINPUT-OUTPUT SECTION.", "\nOPEN ",
      "\nCLOSE ", "\nREAD ", "\nWRITE ", "\nIF ", "\nELSE ", "\nMOVE ", "\nPERFORM ", "\nUNTIL ", "\nVARYING ",
      "\nACCEPT ", "\nDISPLAY ", "\nSTOP RUN.", "\n", " ", "" },
    cpp = with_tail { "\nclass ", "\nvoid ", "\nint ", "\nfloat ", "\ndouble ", "\nif ", "\nfor ", "\nwhile ",
      "\nswitch ", "\ncase " },
    csharp = with_tail { "\ninterface ", "\nenum ", "\ndelegate ", "\nevent ", "\nclass ", "\nabstract ",
      "\npublic ", "\nprotected ", "\nprivate ", "\nstatic ", "\nreturn ", "\nif ", "\ncontinue ", "\nfor ",
      "\nforeach ", "\nwhile ", "\nswitch ", "\nbreak ", "\ncase ", "\nelse ", "\ntry ", "\nthrow ", "\nfinally ",
      "\ncatch " },
    elixir = with_tail { "\ndef ", "\ndefp ", "\ndefmodule ", "\ndefprotocol ", "\ndefmacro ", "\ndefmacrop ",
      "\nif ", "\nunless ", "\ncase ", "\ncond ", "\nwith ", "\nfor ", "\ndo " },
    go = with_tail { "\nfunc ", "\nvar ", "\nconst ", "\ntype ", "\nif ", "\nfor ", "\nswitch ", "\ncase " },
    haskell = with_tail { "\nmain :: ", "\nmain = ", "\nlet ", "\nin ", "\ndo ", "\nwhere ", "\n:: ", "\n= ",
      "\ndata ", "\nnewtype ", "\ntype ", "\nmodule ", "\nimport ", "\nqualified ", "\nimport qualified ",
      "\nclass ", "\ninstance ", "\ncase ", "\n| ", "\n= {", "\n, " },
    html = { "<body", "<div", "<p", "<br", "<li", "<h1", "<h2", "<h3", "<h4", "<h5", "<h6", "<span", "<table",
      "<tr", "<td", "<th", "<ul", "<ol", "<header", "<footer", "<nav", "<head", "<style", "<script", "<meta",
      "<title", "" },
    java = with_tail { "\nclass ", "\npublic ", "\nprotected ", "\nprivate ", "\nstatic ", "\nif ", "\nfor ",
      "\nwhile ", "\nswitch ", "\ncase " },
    js = with_tail { "\nfunction ", "\nconst ", "\nlet ", "\nvar ", "\nclass ", "\nif ", "\nfor ", "\nwhile ",
      "\nswitch ", "\ncase ", "\ndefault " },
    kotlin = with_tail { "\nclass ", "\npublic ", "\nprotected ", "\nprivate ", "\ninternal ", "\ncompanion ",
      "\nfun ", "\nval ", "\nvar ", "\nif ", "\nfor ", "\nwhile ", "\nwhen ", "\nelse " },
    latex = { "\n\\\\chapter{", "\n\\\\section{", "\n\\\\subsection{", "\n\\\\subsubsection{",
      "\n\\\\begin{enumerate}", "\n\\\\begin{itemize}", "\n\\\\begin{description}", "\n\\\\begin{list}",
      "\n\\\\begin{quote}", "\n\\\\begin{quotation}", "\n\\\\begin{verse}", "\n\\\\begin{verbatim}",
      "\n\\\\begin{align}", "$$", "$", " ", "" },
    lua = with_tail { "\nlocal ", "\nfunction ", "\nif ", "\nfor ", "\nwhile ", "\nrepeat " },
    markdown = with_tail { "\n#{1,6} ", "```\n", "\n\\*\\*\\*+\n", "\n---+\n", "\n___+\n" },
    php = with_tail { "\nfunction ", "\nclass ", "\nif ", "\nforeach ", "\nwhile ", "\ndo ", "\nswitch ", "\ncase " },
    powershell = with_tail { "\nfunction ", "\nparam ", "\nif ", "\nforeach ", "\nfor ", "\nwhile ", "\nswitch ",
      "\nclass ", "\ntry ", "\ncatch ", "\nfinally " },
    proto = with_tail { "\nmessage ", "\nservice ", "\nenum ", "\noption ", "\nimport ", "\nsyntax " },
    python = with_tail { "\nclass ", "\ndef ", "\n\tdef " },
    r = with_tail { "\nfunction ", "\nsetClass\\(", "\nsetMethod\\(", "\nsetGeneric\\(", "\nif ", "\nelse ",
      "\nfor ", "\nwhile ", "\nrepeat ", "\nlibrary\\(", "\nrequire\\(" },
    rst = with_tail { "\n=+\n", "\n-+\n", "\n\\*+\n", "\n\n.. *\n\n" },
    ruby = with_tail { "\ndef ", "\nclass ", "\nif ", "\nunless ", "\nwhile ", "\nfor ", "\ndo ", "\nbegin ",
      "\nrescue " },
    rust = with_tail { "\nfn ", "\nconst ", "\nlet ", "\nif ", "\nwhile ", "\nfor ", "\nloop ", "\nmatch " },
    scala = with_tail { "\nclass ", "\nobject ", "\ndef ", "\nval ", "\nvar ", "\nif ", "\nfor ", "\nwhile ",
      "\nmatch ", "\ncase " },
    sol = with_tail { "\npragma ", "\nusing ", "\ncontract ", "\ninterface ", "\nlibrary ", "\nconstructor ",
      "\ntype ", "\nfunction ", "\nevent ", "\nmodifier ", "\nerror ", "\nstruct ", "\nenum ", "\nif ", "\nfor ",
      "\nwhile ", "\ndo while ", "\nassembly " },
    swift = with_tail { "\nfunc ", "\nclass ", "\nstruct ", "\nenum ", "\nif ", "\nfor ", "\nwhile ", "\ndo ",
      "\nswitch ", "\ncase " },
    ts = with_tail { "\nenum ", "\ninterface ", "\nnamespace ", "\ntype ", "\nclass ", "\nfunction ", "\nconst ",
      "\nlet ", "\nvar ", "\nif ", "\nfor ", "\nwhile ", "\nswitch ", "\ncase ", "\ndefault " },
    visualbasic6 = { "\\n(?!End\\s)(?:Public|Private|Friend|Global|Static)\\s+?Sub\\s+",
      "\\n(?!End\\s)(?:Public|Private|Friend|Global|Static)\\s+?Function\\s+",
      "\\n(?!End\\s)(?:Public|Private|Friend|Global|Static)\\s+?Property\\s+(?:Get|Let|Set)\\s+",
      "\\n(?!End\\s)(?:Public|Private|Friend|Global|Static)\\s+?Type\\s+",
      "\\n(?!End\\s)(?:Public|Private|Friend|Global|Static)\\s+?Enum\\s+", "\\n(?!End\\s)If\\s+", "\\nElseIf\\s+",
      "\\nElse\\s+", "\\nSelect\\s+Case\\s+", "\\nCase\\s+", "\\nFor\\s+", "\\nDo\\s+", "\\nWhile\\s+",
      "\\nWith\\s+", "\\n\\n", "\\n", " ", "" },
  },
  js = {
    cpp = with_tail { "\nclass ", "\nvoid ", "\nint ", "\nfloat ", "\ndouble ", "\nif ", "\nfor ", "\nwhile ",
      "\nswitch ", "\ncase " },
    go = with_tail { "\nfunc ", "\nvar ", "\nconst ", "\ntype ", "\nif ", "\nfor ", "\nswitch ", "\ncase " },
    html = { "<body>", "<div>", "<p>", "<br>", "<li>", "<h1>", "<h2>", "<h3>", "<h4>", "<h5>", "<h6>", "<span>",
      "<table>", "<tr>", "<td>", "<th>", "<ul>", "<ol>", "<header>", "<footer>", "<nav>", "<head>", "<style>",
      "<script>", "<meta>", "<title>", " ", "" },
    java = with_tail { "\nclass ", "\npublic ", "\nprotected ", "\nprivate ", "\nstatic ", "\nif ", "\nfor ",
      "\nwhile ", "\nswitch ", "\ncase " },
    js = with_tail { "\nfunction ", "\nconst ", "\nlet ", "\nvar ", "\nclass ", "\nif ", "\nfor ", "\nwhile ",
      "\nswitch ", "\ncase ", "\ndefault " },
    latex = with_tail { "\n\\chapter{", "\n\\section{", "\n\\subsection{", "\n\\subsubsection{",
      "\n\\begin{enumerate}", "\n\\begin{itemize}", "\n\\begin{description}", "\n\\begin{list}", "\n\\begin{quote}",
      "\n\\begin{quotation}", "\n\\begin{verse}", "\n\\begin{verbatim}", "\n\\begin{align}", "$$", "$" },
    markdown = with_tail { "\n## ", "\n### ", "\n#### ", "\n##### ", "\n###### ", "```\n\n", "\n\n***\n\n",
      "\n\n---\n\n", "\n\n___\n\n" },
    php = with_tail { "\nfunction ", "\nclass ", "\nif ", "\nforeach ", "\nwhile ", "\ndo ", "\nswitch ", "\ncase " },
    proto = with_tail { "\nmessage ", "\nservice ", "\nenum ", "\noption ", "\nimport ", "\nsyntax " },
    python = with_tail { "\nclass ", "\ndef ", "\n\tdef " },
    rst = with_tail { "\n===\n", "\n---\n", "\n***\n", "\n.. " },
    ruby = with_tail { "\ndef ", "\nclass ", "\nif ", "\nunless ", "\nwhile ", "\nfor ", "\ndo ", "\nbegin ",
      "\nrescue " },
    rust = with_tail { "\nfn ", "\nconst ", "\nlet ", "\nif ", "\nwhile ", "\nfor ", "\nloop ", "\nmatch ",
      "\nconst " },
    scala = with_tail { "\nclass ", "\nobject ", "\ndef ", "\nval ", "\nvar ", "\nif ", "\nfor ", "\nwhile ",
      "\nmatch ", "\ncase " },
    sol = with_tail { "\npragma ", "\nusing ", "\ncontract ", "\ninterface ", "\nlibrary ", "\nconstructor ",
      "\ntype ", "\nfunction ", "\nevent ", "\nmodifier ", "\nerror ", "\nstruct ", "\nenum ", "\nif ", "\nfor ",
      "\nwhile ", "\ndo while ", "\nassembly " },
    swift = with_tail { "\nfunc ", "\nclass ", "\nstruct ", "\nenum ", "\nif ", "\nfor ", "\nwhile ", "\ndo ",
      "\nswitch ", "\ncase " },
  },
}

--- The names for which a mode has separators.
-- @param mode string: "python" or "js"
-- @return table: names, sorted
function M.languages(mode)
  local names = {}
  for name in pairs(M.lists[mode]) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The separators of a language.
-- @param mode string: "python" or "js"
-- @param language string: "markdown", "python", "cpp" …
-- @return table: the list; boolean: whether they are regular expressions
-- @error misuse: no list for that language
-- @example require("lathe.langchain").separators("js", "go")
function M.separators(mode, language)
  local list = M.lists[mode][language]
  if not list then return nil, require("lathe.config").unknown("language", language, M.languages(mode)), "misuse" end
  return list, mode == "python"
end

return M
