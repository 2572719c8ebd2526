// Reading an OpenAPI 3.1 document: its APIs, operations, references and examples.  Knows nothing of
// the page.

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];

/** What `x-` fields of deprecated operations are called on the page. */
const DEPRECATION = { "x-deprecated-since": "Since", "x-sunset": "Works until" };

/** The document, with what the page asks of it. */
export class Api {
  constructor(document) {
    this.document = document;
    const known = object(document["x-toolforge-gateway"]);
    this.names = Object.keys(known).filter((name) => isObject(known[name]));
    this.operations = [...this.#operations()];
    for (const { api } of this.operations) if (!this.names.includes(api)) this.names.push(api);
    this.names.sort();
  }

  /** What the gateway says of an API: where it is, and whether its part is of today. */
  state(name) {
    return object(object(this.document["x-toolforge-gateway"])[name]);
  }

  /** Descriptions of tags, by name. */
  tag(name) {
    return object(list(this.document.tags).find((tag) => object(tag).name === name));
  }

  *#operations() {
    const ids = new Set();
    for (const [path, pathItem] of Object.entries(object(this.document.paths))) {
      const item = object(this.follow(pathItem));
      for (const method of METHODS) {
        if (!isObject(item[method])) continue;
        const operation = item[method];
        let id = String(operation.operationId || `${method}${path.replace(/\W+/g, "-")}`);
        while (ids.has(id)) id += "_";
        ids.add(id);
        yield {
          id,
          method: method.toUpperCase(),
          path,
          api: this.#apiOf(path),
          operation,
          tags: list(operation.tags).map(String),
          summary: String(operation.summary || ""),
          deprecated: operation.deprecated === true,
          parameters: this.#parameters(item, operation),
        };
      }
    }
  }

  /** The API with the longest path that leads here; else the first segment names it. */
  #apiOf(path) {
    let best = null;
    let length = 0;
    for (const name of this.names) {
      const prefix = String(this.state(name).path || `/${name}`);
      if ((path === prefix || path.startsWith(`${prefix}/`)) && prefix.length > length) {
        best = name;
        length = prefix.length;
      }
    }
    return best ?? path.split("/")[1] ?? "";
  }

  /** An operation's own parameters come before those of its path (OpenAPI 3.1, 4.8.9). */
  #parameters(item, operation) {
    const found = new Map();
    for (const each of [...list(item.parameters), ...list(operation.parameters)]) {
      const parameter = object(this.follow(each));
      if (typeof parameter.name === "string" && typeof parameter.in === "string")
        found.set(`${parameter.in} ${parameter.name}`, parameter);
    }
    return [...found.values()];
  }

  /** What a reference leads to; null when it leads nowhere, or round in a circle. */
  follow(value) {
    const seen = new Set();
    let here = value;
    while (isObject(here) && typeof here.$ref === "string") {
      if (seen.has(here.$ref)) return null;
      seen.add(here.$ref);
      const target = this.#at(here.$ref);
      if (target === undefined) return null;
      const { $ref: _, ...beside } = here;
      here = isObject(target) && Object.keys(beside).length ? { ...target, ...beside } : target;
    }
    return here;
  }

  #at(reference) {
    if (reference === "#") return this.document;
    if (!reference.startsWith("#/")) return undefined;
    let here = this.document;
    for (const part of reference.slice(2).split("/")) {
      let key = part;
      try {
        key = decodeURIComponent(part);
      } catch {
        // A percent sign that is one.
      }
      key = key.replace(/~1/g, "/").replace(/~0/g, "~");
      if ((!isObject(here) && !Array.isArray(here)) || !Object.hasOwn(here, key)) return undefined;
      here = here[key];
    }
    return here;
  }

  /** Addresses of the API as absolute URLs without a slash at the end, and their descriptions. */
  servers(base) {
    const found = [];
    for (const each of list(this.document.servers).map(object)) {
      if (typeof each.url !== "string" || each.url.includes("{")) continue;
      try {
        const url = new URL(each.url, base).href.replace(/\/+$/, "");
        found.push({ url, description: String(each.description || "") });
      } catch {
        // Not an address.
      }
    }
    return found.length ? found : [{ url: new URL(base).origin, description: "this gateway" }];
  }

  /** Ways to be somebody that an operation takes: names of schemes, a list for each alternative. */
  security(operation) {
    const schemes = object(object(this.document.components).securitySchemes);
    return list(operation.security ?? this.document.security)
      .map(object)
      .map((each) =>
        Object.keys(each).map((name) => ({ name, scheme: object(this.follow(schemes[name])) })),
      );
  }

  /** Dates and such that `x-` fields give for a deprecation: [words, value] pairs. */
  deprecation({ operation }) {
    return Object.entries(operation)
      .filter(([key, value]) => /^x-.*(deprecat|sunset|remov)/i.test(key) && !isObject(value))
      .filter(([, value]) => ["string", "number"].includes(typeof value))
      .map(([key, value]) => [DEPRECATION[key] ?? key.slice(2).replaceAll("-", " "), String(value)]);
  }

  /** An example of what a schema describes, for a request.  Always ends. */
  sample(schema, depth = 0) {
    const resolved = this.follow(schema);
    if (!isObject(resolved)) return null;
    const given = [resolved.example, ...list(resolved.examples), resolved.default];
    for (const value of given) if (value !== undefined && value !== null) return value;
    if (resolved.const !== undefined) return resolved.const;
    if (Array.isArray(resolved.enum) && resolved.enum.length) return resolved.enum[0];
    if (depth > 6) return null;
    const [choice] = [...list(resolved.oneOf), ...list(resolved.anyOf)].filter(
      (each) => object(this.follow(each)).type !== "null",
    );
    const parts = [...list(resolved.allOf), choice].filter(isObject);
    const samples = parts.map((part) => this.sample(part, depth + 1));
    const type = types(resolved).find((each) => each !== "null");
    if (type === "object" || isObject(resolved.properties) || samples.some(isObject))
      return Object.assign({}, ...samples.filter(isObject), this.#members(resolved, depth));
    if (samples.length && samples[0] !== null) return samples[0];
    if (type === "array") {
      const item = isObject(resolved.items) ? this.sample(resolved.items, depth + 1) : null;
      return item === null ? [] : [item];
    }
    return scalar(type, resolved);
  }

  /** What must be there; all there is, where nothing must. */
  #members(schema, depth) {
    const properties = Object.entries(object(schema.properties)).filter(
      ([, each]) => object(this.follow(each)).readOnly !== true,
    );
    const required = new Set(list(schema.required));
    const wanted = properties.filter(([name]) => required.has(name));
    return Object.fromEntries(
      (wanted.length ? wanted : properties).map(([name, each]) => [
        name,
        this.sample(each, depth + 1),
      ]),
    );
  }
}

function scalar(type, schema) {
  if (type === "boolean") return true;
  if (type === "integer" || type === "number") return schema.minimum ?? 1;
  if (type !== "string") return null;
  const formats = {
    date: "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    email: "someone@example.org",
    hostname: "example.org",
    uri: "https://example.org/",
    uuid: "00000000-0000-4000-8000-000000000000",
  };
  return Object.hasOwn(formats, schema.format) ? formats[schema.format] : "string";
}

/** The types that a schema names, as a list. */
export function types(schema) {
  return [schema.type].flat().filter((each) => typeof each === "string");
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value if it is an object, else an empty one: documents are written by many. */
export function object(value) {
  return isObject(value) ? value : {};
}

/** The value if it is a list, else an empty one. */
export function list(value) {
  return Array.isArray(value) ? value : [];
}
