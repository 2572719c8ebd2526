// All of one operation: what it is, what it takes, lines to call it, what it answers.

import { fold, h, newId } from "./dom.js";
import { markdown } from "./markdown.js";
import { object } from "./openapi.js";
import { limits, schemaView, typeOf } from "./schema.js";
import { TryIt } from "./tryit.js";

export function operationView(api, shown, settings) {
  const { operation } = shown;
  const tryIt = new TryIt(api, shown, settings);
  return [
    deprecated(api, shown),
    markdown(operation.description),
    h("p.quiet.facts-line", {}, caller(api, operation), identifier(shown)),
    parameters(api, shown, tryIt),
    requestBody(api, shown, tryIt),
    h("h4", {}, "Call it"),
    tryIt.credentials(inWords),
    tryIt.lines(),
    h("h4", {}, "Answers"),
    answers(api, operation),
    outside(operation.externalDocs),
  ];
}

function deprecated(api, shown) {
  if (!shown.deprecated) return null;
  const dates = api.deprecation(shown);
  return h(
    "div.notice.warn",
    {},
    h("p", {}, h("strong", {}, "Deprecated. "), "Use something else in new code."),
    dates.length
      ? h("dl.facts", {}, dates.map(([words, value]) => [h("dt", {}, words), h("dd", {}, value)]))
      : null,
  );
}

function identifier({ operation }) {
  return operation.operationId ? ["Operation ", h("code", {}, operation.operationId)] : null;
}

function caller(api, operation) {
  const ways = api.security(operation);
  if (!ways.length) return null;
  const words = ways.map((way) =>
    way.length === 0 ? "without any" : way.map(({ name, scheme }) => inWords(name, scheme)).join(" and "),
  );
  return ["Credentials: ", words.join(", or "), ". "];
}

function inWords(name, scheme) {
  if (scheme.type === "mutualTLS") return "a client certificate";
  if (name === "deployToken") return "a deploy token";
  if (scheme.type === "apiKey") return `“${scheme.name}” in the ${scheme.in}`;
  if (scheme.type === "http") return `${scheme.scheme} authentication`;
  return name;
}

function parameters(api, shown, tryIt) {
  if (!shown.parameters.length) return null;
  const rows = shown.parameters.map((parameter) => {
    const resolved = object(api.follow(parameter.schema));
    const field = tryIt.field(parameter);
    const type = [parameter.in, typeOf(api, parameter.schema ?? true), limits(resolved)];
    return h(
      "div.parameter",
      {},
      h(
        "div",
        {},
        h("label", { for: field.id }, h("code", {}, parameter.name)),
        parameter.required ? [" ", h("span.badge", {}, "required")] : null,
        parameter.deprecated ? [" ", h("span.badge.warn", {}, "deprecated")] : null,
        h("p.quiet.type", {}, type.filter(Boolean).join(" · ")),
      ),
      h("div", {}, field.element, markdown(parameter.description ?? resolved.description)),
    );
  });
  return [h("h4", {}, "Parameters"), h("div.parameters", {}, rows)];
}

function requestBody(api, shown, tryIt) {
  const body = object(api.follow(shown.operation.requestBody));
  const kinds = Object.entries(object(body.content));
  if (!kinds.length) return null;
  const schema = h("div");
  const show = (kind) => {
    const media = object(object(body.content)[kind]);
    schema.replaceChildren(
      ...(media.schema === undefined
        ? []
        : [fold(["Schema: ", typeOf(api, media.schema)], () => schemaView(api, media.schema))]),
    );
  };
  const heading = newId("body");
  const editor = tryIt.body(body, heading, show);
  return [
    h(
      "h4",
      { id: heading },
      "Body",
      body.required ? [" ", h("span.badge", {}, "required")] : null,
    ),
    markdown(body.description),
    editor,
    schema,
  ];
}

function answers(api, operation) {
  const all = Object.entries(object(operation.responses));
  if (!all.length) return h("p.quiet", {}, "It is not said what it answers.");
  return h(
    "ul.answers",
    {},
    all.map(([status, each]) => {
      const answer = object(api.follow(each));
      const shown = Object.entries(object(answer.content)).map(([kind, media]) => {
        const { schema } = object(media);
        if (schema === undefined) return h("p", {}, h("code", {}, kind));
        return fold([h("code", {}, kind), ": ", typeOf(api, schema)], () => schemaView(api, schema));
      });
      const names = Object.entries(object(answer.headers)).map(([name, header]) =>
        h("li", {}, h("code", {}, name), " ", markdown(object(api.follow(header)).description)),
      );
      return h(
        "li",
        {},
        h("p", {}, h("strong.status", { "data-status": status[0] }, status), " ", first(answer.description)),
        rest(answer.description),
        shown,
        names.length ? [h("p.quiet", {}, "Headers:"), h("ul", {}, names)] : null,
      );
    }),
  );
}

/** A description of one line stands beside the status, a longer one below it. */
function first(description) {
  return typeof description === "string" && !description.trim().includes("\n") ? inline(description) : null;
}

function rest(description) {
  return typeof description === "string" && description.trim().includes("\n") ? markdown(description) : null;
}

function inline(description) {
  return markdown(description).flatMap((each) => [...(each.firstChild?.childNodes ?? [])]);
}

function outside(docs) {
  const { url, description } = object(docs);
  if (typeof url !== "string" || !/^https?:\/\//.test(url)) return null;
  return h("p", {}, h("a", { href: url, rel: "noreferrer" }, description || "More about it"));
}

