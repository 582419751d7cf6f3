-- SPDX-License-Identifier: MIT
-- Scenes of animations written for Manim: each class derived from Scene (or from a scene of the same file)
-- that has a method construct becomes a record. The worked example of an extractor: copy it to extractors/ beside your recipe and change it.
--
--   class CircleToSquare(Scene):
--       """A circle becomes a square."""          → description
--       def construct(self): …                    → code, with the imports and helpers it uses
--
-- metadata: class, line, youtube_url (of a video named in the class or at the head of the file), code_features,
-- needs_description.

local python = require "lathe.python_source"

-- What is looked for in the code of a scene: a feature's name, and Lua patterns any of which shows it.
local FEATURES = {
  { "3d", "ThreeDScene", "ThreeDAxes", "set_camera_orientation", "Surface%f[%W]", "Sphere%f[%W]", "Cube%f[%W]" },
  { "camera", "MovingCameraScene", "camera%.frame", "set_camera_orientation", "ZoomedScene" },
  { "color", "set_color", "set_fill", "gradient", "set_stroke" },
  { "creation", "Create%(", "ShowCreation%(", "Write%(", "DrawBorderThenFill%(", "Uncreate%(" },
  { "fade", "FadeIn", "FadeOut", "FadeTransform" },
  { "graph", "Axes%(", "NumberPlane", "GraphScene", "get_graph", "FunctionGraph", "%.plot%(", "Graph%(" },
  { "group", "VGroup", "Group%(" },
  { "latex", "MathTex", "TexMobject", "Tex%(", "OldTex" },
  { "movement", "%.shift%(", "%.move_to%(", "%.animate", "MoveAlongPath", "Rotate%(" },
  { "number", "DecimalNumber", "ValueTracker", "Integer%(" },
  { "sound", "add_sound", "voiceover" },
  { "table", "Table%(", "Matrix%(" },
  { "text", "Text%(", "TextMobject", "Paragraph%(" },
  { "transform", "Transform", "become%(" },
  { "updater", "add_updater", "always_redraw", "UpdateFromFunc" },
}

local function features_of(code)
  local out = {}
  for _, feature in ipairs(FEATURES) do
    for i = 2, #feature do
      if code:find(feature[i]) then
        out[#out + 1] = feature[1]
        break
      end
    end
  end
  return out
end

local VIDEO = { "youtube%.com/watch%?[%w_=&%%-]*v=([%w_-]+)", "youtu%.be/([%w_-]+)", "youtube%.com/embed/([%w_-]+)",
  "youtube%.com/shorts/([%w_-]+)" }

local function video_in(s)
  for _, pattern in ipairs(VIDEO) do
    local id = s:match(pattern)
    if id and #id == 11 then return "https://www.youtube.com/watch?v=" .. id end
  end
end

local function is_scene_name(name) return name:find "Scene$" ~= nil or name == "Slide" end

-- The classes of a file that are scenes, by name: those derived from one, however far.
local function scenes_of(statements)
  local scenes, more = {}, true
  while more do
    more = false
    for _, s in ipairs(statements) do
      if s.kind == "class" and not scenes[s.name] then
        for _, base in ipairs(python.bases(s)) do
          if is_scene_name(base) or scenes[base] then scenes[s.name], more = true, true end
        end
      end
    end
  end
  return scenes
end

-- The scene's class with what it needs from its file: imports, and the functions, classes and constants that
-- it names, and those that these name, in the order of the file.
local function whole_code(scene, statements, by_name)
  local wanted, queue = { [scene] = true }, { scene }
  while #queue > 0 do
    local next_one = table.remove(queue)
    next_one.names = next_one.names or python.names(next_one.text)
    for name in pairs(next_one.names) do
      local s = by_name[name]
      if s and not wanted[s] then
        wanted[s] = true
        queue[#queue + 1] = s
      end
    end
  end
  local out, before = {}, nil
  for _, s in ipairs(statements) do
    if wanted[s] or s.kind == "import" then
      local gap = before and ((s.kind == before or nil) and (s.kind == "import" or s.kind == "assignment") and "\n" or "\n\n\n") or ""
      out[#out + 1] = gap .. s.text
      before = s.kind
    end
  end
  return table.concat(out) .. "\n"
end

local function description_of(scene)
  local text = python.docstring(scene)
  if text and text ~= "" then return text end
  if scene.comment:find "%S" and not scene.comment:find "^[-=#*%s]*$" then return (scene.comment:gsub("%s+$", "")) end
  return ""
end

return {
  name = "manim",
  version = 1,
  description = "Scenes of Manim animations in Python files, with their docstrings.",
  files = { "**/*.py" },
  options = {
    least = { type = "integer", default = 3, min = 1, help = "lines that a scene must have" },
  },
  extract = function(item, ctx, emit)
    local source, message, code = ctx:text(item)
    if not source then return nil, message, code end
    if not source:find "Scene" then return true end
    local statements = python.statements(source)
    local scenes = scenes_of(statements)
    local by_name = {}
    for _, s in ipairs(statements) do if s.name then by_name[s.name] = by_name[s.name] or s end end
    local head = source:sub(1, (source:find "\nclass%s" or #source))
    for _, s in ipairs(statements) do
      if s.kind == "class" and scenes[s.name] and s.last - s.first + 1 >= ctx.options.least
        and s.text:find "def%s+construct%s*%(" then
        local whole = whole_code(s, statements, by_name)
        emit { description = description_of(s), code = whole,
          metadata = { class = s.name, line = s.first, programming_language = "python",
            youtube_url = video_in(s.text) or video_in(s.comment) or video_in(head),
            code_features = ctx.json.array(features_of(whole)) } }
      end
    end
    return true
  end,
}
