// An operation with its values as lines to copy: curl, Python with requests, Python with
// toolforge-weld.  Pure: from a call to text.
//
// A call is {method, server, path, query, headers, cookies, body, streams, json, settings}:
//   server   "https://host:port", path "/jobs/v1/..." with its values filled in and encoded;
//   query    [name, value] pairs, headers and cookies too;
//   body     null, or {type, kind, value}: kind is "json", "form", "multipart" or "text";
//   streams  whether the answer comes line by line; json: whether it is one JSON value;
//   settings {certificate, key, authority, tool}: file names, "" for none.

import { python, pythonPath, shell, shellPath } from "./quote.js";

const WELD_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** Encode the value of a path segment (RFC 3986 section 3.3). */
export function segment(value) {
  const encoded = encodeURIComponent(value).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return encoded;
}

function queryText(query) {
  return query.map(([name, value]) => `${segment(name)}=${segment(value)}`).join("&");
}

function address(call) {
  const query = queryText(call.query);
  return call.server + call.path + (query ? `?${query}` : "");
}

/** Header fields, cookies and the body's type among them. */
function fields(call, typeOfBody) {
  const found = [...call.headers];
  if (call.cookies.length)
    found.push(["Cookie", call.cookies.map(([name, value]) => `${name}=${value}`).join("; ")]);
  if (typeOfBody && call.body) found.push(["Content-Type", call.body.type]);
  return found;
}

/** A line for a shell. */
export function curl(call) {
  const { settings, body, method } = call;
  const words = [];
  if (settings.authority) words.push(`--cacert ${shellPath(settings.authority)}`);
  if (settings.certificate) words.push(`--cert ${shellPath(settings.certificate)}`);
  if (settings.certificate && settings.key) words.push(`--key ${shellPath(settings.key)}`);
  if (call.streams) words.push("--no-buffer");
  if (method === "HEAD") words.push("--head");
  else if (method !== (body ? "POST" : "GET")) words.push(`--request ${shell(method)}`);
  const given = body && !["multipart", "form"].includes(body.kind);
  for (const [name, value] of fields(call, given))
    // curl leaves out a header that is empty, unless it ends in a semicolon.
    words.push(`--header ${shell(value === "" ? `${name};` : `${name}: ${value}`)}`);
  if (body) words.push(...curlBody(body));
  const url = address(call);
  if (/[[\]{}]/.test(url)) words.push("--globoff");
  words.push(shell(url));
  return `curl ${words.join(" \\\n  ")}`;
}

function curlBody(body) {
  if (body.kind === "json") return [`--data-raw ${shell(JSON.stringify(body.value))}`];
  if (body.kind === "form")
    return body.value.map(([name, value]) => `--data-urlencode ${shell(`${name}=${value}`)}`);
  if (body.kind === "multipart")
    return body.value.map(([name, value, file]) =>
      file ? `--form ${shell(`${name}=@${value}`)}` : `--form-string ${shell(`${name}=${value}`)}`,
    );
  return [`--data-raw ${shell(body.value)}`];
}

/** A script for Python with requests. */
export function requests(call) {
  const { settings } = call;
  const given = keywords(call);
  if (settings.certificate) {
    const files = [settings.certificate, settings.key].filter(Boolean).map(pythonPath);
    given.push(["cert", files.length > 1 ? `(\n        ${files.join(",\n        ")},\n    )` : files[0]]);
  }
  if (settings.authority) given.push(["verify", pythonPath(settings.authority)]);
  if (call.streams) given.push(["stream", "True"]);
  given.push(["timeout", call.streams ? "None" : "60"]);
  const lines = [python(call.server + call.path), ...given.map(([name, text]) => `${name}=${text}`)];
  const method = call.method.toLowerCase();
  const known = ["get", "post", "put", "patch", "delete", "head", "options"].includes(method);
  const function_ = known ? `requests.${method}` : "requests.request";
  if (!known) lines.unshift(python(call.method));
  const asked = `${function_}(\n${lines.map((each) => `    ${each},\n`).join("")})`;
  return [
    ...imports(lines.join("\n")),
    "import requests",
    "",
    `answer = ${asked}`,
    "if not answer.ok:",
    '    raise SystemExit(f"{answer.status_code} {answer.text}")',
    ...shown(call),
  ].join("\n");
}

/** A script for Python with toolforge-weld; null where that cannot be. */
export function weld(call) {
  if (!WELD_METHODS.includes(call.method)) return null;
  const { settings } = call;
  const given = keywords(call).map(([name, text]) => `${name}=${text}`);
  const checked = settings.authority ? pythonPath(settings.authority) : "True";
  const plain = call.streams || !call.json;
  const lines = [python(call.path), ...given];
  if (plain && call.method !== "GET") lines.push(`method=${python(call.method)}`);
  if (call.streams) lines.push("timeout=None");
  const words = `${lines.map((each) => `    ${each},\n`).join("")}`;
  const asked = plain
    ? [`for line in client.get_raw_lines(\n${words}):`, "    print(line)"]
    : [`print(\n    client.${call.method.toLowerCase()}(\n${indented(words)}    )\n)`];
  return [
    ...imports(`${lines.join("\n")}${checked}`),
    "from toolforge_weld.api_client import ToolforgeClient",
    "from toolforge_weld.kubernetes_config import Kubeconfig",
    "",
    "client = ToolforgeClient(",
    `    server=${python(call.server)},`,
    "    kubeconfig=Kubeconfig.load(),  # has the certificate",
    `    user_agent=${python(settings.tool || "my-tool")},`,
    ")",
    `client.session.verify = ${checked}  # by itself weld does not check who answers`,
    ...asked,
  ].join("\n");
}

function imports(text) {
  return text.includes("os.path.") ? ["import os", ""] : [];
}

function indented(text) {
  return text.replace(/^(?=.)/gm, "    ");
}

function keywords(call) {
  const given = [];
  // Pairs, not a mapping: a name can come twice.
  const pairs = (each) => {
    const names = new Set(each.map(([name]) => name));
    return names.size === each.length ? python(Object.fromEntries(each), "    ") : python(each, "    ");
  };
  if (call.query.length) given.push(["params", pairs(call.query)]);
  const { body } = call;
  const found = fields(call, body && body.kind === "text");
  if (found.length) given.push(["headers", python(Object.fromEntries(found), "    ")]);
  if (body?.kind === "json") given.push(["json", python(body.value, "    ")]);
  else if (body?.kind === "form") given.push(["data", pairs(body.value)]);
  else if (body?.kind === "multipart") given.push(["files", multipart(body.value)]);
  else if (body) given.push(["data", `${python(body.value)}.encode()`]);
  return given;
}

function multipart(parts) {
  const inner = parts.map(([name, value, file]) =>
    file
      ? `        ${python(name)}: open(${python(value)}, "rb"),\n`
      : `        ${python(name)}: (None, ${python(value)}),\n`,
  );
  return `{\n${inner.join("")}    }`;
}

function shown(call) {
  if (call.method === "HEAD") return ["print(answer.headers)"];
  if (call.streams) return ["for line in answer.iter_lines(decode_unicode=True):", "    print(line)"];
  return [call.json ? "print(answer.json())" : "print(answer.text)"];
}
