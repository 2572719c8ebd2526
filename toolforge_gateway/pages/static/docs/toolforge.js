// Which operations the `toolforge` command lines do, and how: toolforge-jobs-cli 16,
// toolforge-builds-cli, toolforge-envvars-cli and toolforge-components-cli 0.0.
// tests/browser/test_commands.py runs what is here with the real programs.

import { isObject } from "./openapi.js";
import { shell } from "./quote.js";

const TOOL = String.raw`/v\d+/tool/[^/]+`;

/** Options of `toolforge jobs run` by the members of a body that they set. */
const RUN = {
  cmd: "--command",
  imagename: "--image",
  schedule: "--schedule",
  memory: "--mem",
  cpu: "--cpu",
  emails: "--emails",
  mount: "--mount",
  retry: "--retry",
  timeout: "--timeout",
  replicas: "--replicas",
  port: "--port",
  filelog_stdout: "--filelog-stdout",
  filelog_stderr: "--filelog-stderr",
};

// Method, path, and what makes the words after `toolforge`: of the last path segments' values, the
// body, and the query.  Null: these values cannot be said on the command line.
const COMMANDS = [
  ["GET", "/jobs", "/jobs/", () => ["jobs", "list"]],
  ["POST", "/jobs", "/jobs/", (_, body) => run(body)],
  ["DELETE", "/jobs", "/jobs/", () => ["jobs", "flush"]],
  ["GET", "/jobs", "/jobs/{}", ([job]) => ["jobs", "show", ...guarded(job)]],
  ["DELETE", "/jobs", "/jobs/{}", ([job]) => ["jobs", "delete", ...guarded(job)]],
  ["POST", "/jobs", "/jobs/{}/restart", ([job]) => ["jobs", "restart", ...guarded(job)]],
  ["GET", "/jobs", "/images/", () => ["jobs", "images"]],
  ["GET", "/jobs", "/quotas/", () => ["jobs", "quota"]],
  ["GET", "/builds", "/builds", () => ["build", "list"]],
  ["POST", "/builds", "/builds", (_, body) => start(body)],
  ["GET", "/builds", "/builds/latest", () => ["build", "show"]],
  ["GET", "/builds", "/builds/{}", ([build]) => ["build", "show", ...guarded(build)]],
  ["DELETE", "/builds", "/builds/{}", ([build]) => ["build", "delete", ...guarded(build)]],
  ["PUT", "/builds", "/builds/{}/cancel", ([build]) => ["build", "cancel", ...guarded(build)]],
  ["GET", "/builds", "/builds/{}/logs", ([build]) => ["build", "logs", ...guarded(build)]],
  ["GET", "/builds", "/quotas", () => ["build", "quota"]],
  ["POST", "/builds", "/clean", () => ["build", "clean"]],
  ["GET", "/envvars", "/envvars", () => ["envvars", "list"]],
  ["POST", "/envvars", "/envvars", (_, body) => envvar(body)],
  ["GET", "/envvars", "/envvars/{}", ([name]) => ["envvars", "show", ...guarded(name)]],
  ["DELETE", "/envvars", "/envvars/{}", ([name]) => ["envvars", "delete", ...guarded(name)]],
  ["GET", "/envvars", "/quotas", () => ["envvars", "quota"]],
  ["GET", "/components", "/config", () => ["components", "config", "show"]],
  ["POST", "/components", "/config", (_, body) => configure(body)],
  ["DELETE", "/components", "/config", () => ["components", "config", "delete"]],
  ["GET", "/components", "/config/generate", () => ["components", "config", "generate"]],
  ["GET", "/components", "/deployment", () => ["components", "deployment", "list"]],
  ["POST", "/components", "/deployment", (_, __, query) => deploy(query)],
  ["GET", "/components", "/deployment/latest", () => ["components", "deployment", "show"]],
  ["GET", "/components", "/deployment/token", () => ["components", "deploy-token", "show"]],
  ["POST", "/components", "/deployment/token", () => ["components", "deploy-token", "create"]],
  ["PUT", "/components", "/deployment/token", () => ["components", "deploy-token", "refresh"]],
  ["DELETE", "/components", "/deployment/token", () => ["components", "deploy-token", "delete"]],
  ["GET", "/components", "/deployment/{}", ([id]) => ["components", "deployment", "show", ...guarded(id)]],
  ["DELETE", "/components", "/deployment/{}", ([id]) => ["components", "deployment", "delete", ...guarded(id)]],
  ["PUT", "/components", "/deployment/{}/cancel", ([id]) => ["components", "deployment", "cancel", ...guarded(id)]],
  ["GET", "/logs", "/job/{}/logs", ([job]) => ["jobs", "logs", ...guarded(job)]],
  ["GET", "/logs", "/job/{}/logs_stream", ([job]) => ["jobs", "logs", "--follow", ...guarded(job)]],
].map(([method, api, path, words]) => ({
  method,
  shape: new RegExp(`^${api}${TOOL}${path.replaceAll("{}", "([^/]+)")}$`),
  // A slash at the end means the same to whoever reads the page, if not to every backend.
  relaxed: new RegExp(`^${api}${TOOL}${path.replace(/\/$/, "").replaceAll("{}", "([^/]+)")}/?$`),
  words,
}));

/**
 * The command line that does the same; null where there is none.
 *
 * @param call - see commands.js; its path has its values in it.
 * @param {string} template - the path as the document has it.
 */
export function toolforge(call, template) {
  // A path that is written out ("/latest") is meant before one with a name in it.
  const literal = template.replace(/\{[^}]*\}/g, "x");
  const known = COMMANDS.filter(({ method }) => method === call.method);
  const found =
    known.find(({ shape }) => shape.test(literal) && shape.test(call.path)) ??
    known.find(({ relaxed }) => relaxed.test(literal) && relaxed.test(call.path));
  if (!found) return null;
  // What is asked for in the query has no option, but where the words are made of it.
  if (call.query.length && found.words.length < 3) return null;
  const values = call.path.match(found.relaxed).slice(1).map(decodeURIComponent);
  const made = found.words(values, call.body?.kind === "json" ? call.body.value : null, call.query);
  if (made === null) return null;
  return typeof made === "string" ? made : `toolforge ${made.map(shell).join(" ")}`;
}

function run(body) {
  if (!isObject(body) || !body.name || !body.cmd || !body.imagename) return null;
  const words = ["jobs", "run", body.name];
  for (const [key, value] of Object.entries(body)) {
    if (value === null || key === "name" || key === "job_type") continue;
    if (key === "continuous" && value === true) words.push("--continuous");
    else if (key === "publish" && value === true) words.push("--publish");
    else if (key === "filelog") words.push(value ? "--filelog" : "--no-filelog");
    else if (key === "continuous" || key === "publish") continue;
    else if (Object.hasOwn(RUN, key) && typeof value !== "object") words.push(`${RUN[key]}=${value}`);
    else return null;
  }
  if (body.job_type === "continuous" && !words.includes("--continuous")) words.push("--continuous");
  return words;
}

function start(body) {
  if (!isObject(body) || typeof body.source_url !== "string") return null;
  const words = ["build", "start"];
  for (const [key, value] of Object.entries(body)) {
    if (key === "source_url" || value === null || value === false) continue;
    if (key === "ref" && value !== "") words.push(`--ref=${value}`);
    else if (key === "image_name" && value !== "") words.push(`--image-name=${value}`);
    else if (key === "use_latest_versions") words.push("--use-latest-versions");
    else if (key === "envvars" && isObject(value))
      for (const [name, text] of Object.entries(value)) words.push(`--envvar=${name}=${text}`);
    else if (value !== "") return null;
  }
  return [...words, body.source_url];
}

function envvar(body) {
  if (!isObject(body) || typeof body.name !== "string" || typeof body.value !== "string") return null;
  return ["envvars", "create", ...guarded(body.name, body.value)];
}

/** Positional words; `--` keeps a value that begins with a hyphen from being an option. */
function guarded(...values) {
  return values.some((each) => each.startsWith("-")) ? ["--", ...values] : values;
}

/** It reads YAML from its standard input, and JSON is YAML. */
function configure(body) {
  if (!isObject(body)) return null;
  return `toolforge components config create <<'END'\n${JSON.stringify(body, null, 2)}\nEND`;
}

function deploy(query) {
  const words = ["components", "deployment", "create"];
  for (const [name, value] of query) {
    // A deploy token is for those who cannot use the command line.
    if (name !== "force-build" && name !== "force-run") return null;
    if (value === "true") words.push(`--${name}`);
  }
  return words;
}
