// A JSON schema (OpenAPI 3.1, draft 2020-12) as a list that unfolds.

import { fold, h } from "./dom.js";
import { markdown } from "./markdown.js";
import { isObject, list, object, types } from "./openapi.js";

const COMBINED = [
  ["allOf", "all of"],
  ["oneOf", "one of"],
  ["anyOf", "any of"],
];

/** A schema and, folded, what is in it. */
export function schemaView(api, schema) {
  const shown = rows(api, schema);
  const head = h("p.type", {}, typeOf(api, schema));
  return h("div.schema", {}, head, about(object(api.follow(schema)), schema), shown);
}

/** In words what a value is: "list of BuildsBuild or null". */
export function typeOf(api, schema) {
  if (schema === true) return "anything";
  if (schema === false) return "nothing";
  const resolved = api.follow(schema);
  if (!isObject(resolved)) return "unknown (a reference leads nowhere)";
  const name = typeof schema.$ref === "string" ? schema.$ref.split("/").at(-1) : null;
  if (name !== null) return decode(name);
  if (resolved.const !== undefined) return JSON.stringify(resolved.const);
  for (const [key, words] of COMBINED) {
    const parts = list(resolved[key]);
    if (!parts.length) continue;
    const names = [...new Set(parts.map((each) => typeOf(api, each)))];
    if (names.length === 1) return names[0];
    if (key === "allOf") return parts.length > 1 ? `${words} ${names.join(", ")}` : names[0];
    return names.join(" or ");
  }
  const found = types(resolved).map((type) =>
    type === "array"
      ? `list of ${resolved.items === undefined ? "anything" : typeOf(api, resolved.items)}`
      : type,
  );
  if (!found.length && isObject(resolved.properties)) found.push("object");
  return found.join(" or ") || "anything";
}

/** Format, bounds, default and such, in words. */
export function limits(schema) {
  const said = [];
  const say = (key, words) => {
    if (schema[key] !== undefined && typeof schema[key] !== "object")
      said.push(words.replace("%", schema[key]));
  };
  say("format", "%");
  say("minimum", "at least %");
  say("exclusiveMinimum", "more than %");
  say("maximum", "at most %");
  say("exclusiveMaximum", "less than %");
  say("multipleOf", "a multiple of %");
  say("minLength", "at least % characters");
  say("maxLength", "at most % characters");
  say("minItems", "at least % items");
  say("maxItems", "at most % items");
  say("pattern", "matches %");
  if (schema.default !== undefined) said.push(`default ${JSON.stringify(schema.default)}`);
  if (schema.readOnly === true) said.push("only in answers");
  if (schema.writeOnly === true) said.push("only in requests");
  return said.join(", ");
}

function about(resolved, schema) {
  const choices = list(resolved.enum).map((each) => h("code", {}, JSON.stringify(each)));
  const bounds = limits(resolved);
  return [
    bounds && h("p.quiet.limits", {}, bounds),
    markdown(object(schema).description ?? resolved.description),
    choices.length ? h("p.enum", {}, "One of: ", separated(choices)) : null,
  ];
}

function separated(nodes) {
  return nodes.flatMap((node, n) => (n ? [", ", node] : [node]));
}

/** What is inside of a schema, or null. */
function rows(api, schema) {
  const resolved = api.follow(schema);
  if (!isObject(resolved)) return null;
  const required = new Set(list(resolved.required));
  const made = Object.entries(object(resolved.properties)).map(([name, each]) =>
    row(api, h("code", {}, name), each, required.has(name)),
  );
  if (isObject(resolved.additionalProperties))
    made.push(row(api, h("em", {}, "any other name"), resolved.additionalProperties, false));
  if (isObject(resolved.items) && isDeep(api, resolved.items))
    made.push(row(api, h("em", {}, "each item"), resolved.items, false));
  for (const [n, each] of list(resolved.prefixItems).entries())
    made.push(row(api, h("em", {}, `item ${n + 1}`), each, false));
  for (const [key, words] of COMBINED)
    for (const each of list(resolved[key]))
      if (isDeep(api, each)) made.push(row(api, h("em", {}, words), each, false));
  return made.length ? h("ul.members", {}, made) : null;
}

/** Whether there is something inside of it to look at. */
function isDeep(api, schema) {
  const resolved = object(api.follow(schema));
  return (
    isObject(resolved.properties) ||
    isObject(resolved.additionalProperties) ||
    (isObject(resolved.items) && isDeep(api, resolved.items)) ||
    COMBINED.some(([key]) => list(resolved[key]).length > 0) ||
    list(resolved.enum).length > 0
  );
}

function row(api, name, schema, required) {
  const resolved = object(api.follow(schema));
  const head = h(
    "p.member",
    {},
    name,
    " ",
    h("span.type", {}, typeOf(api, schema)),
    required ? [" ", h("span.badge", {}, "required")] : null,
    resolved.deprecated === true ? [" ", h("span.badge.warn", {}, "deprecated")] : null,
  );
  const inside = containsMore(api, schema)
    ? fold(["What is in ", typeOf(api, schema)], () => rows(api, schema))
    : null;
  return h("li", {}, head, about(resolved, schema), inside);
}

function containsMore(api, schema) {
  const resolved = object(api.follow(schema));
  return (
    Object.keys(object(resolved.properties)).length > 0 ||
    isObject(resolved.additionalProperties) ||
    (isObject(resolved.items) && isDeep(api, resolved.items)) ||
    COMBINED.some(([key]) => list(resolved[key]).some((each) => isDeep(api, each)))
  );
}

function decode(name) {
  return name.replace(/~1/g, "/").replace(/~0/g, "~");
}
