// Values for an operation, and the lines that call it with them.  Nothing is sent from here: a
// browser seldom has the certificate.

import { curl, requests, segment, weld } from "./commands.js";
import { h, newId } from "./dom.js";
import { isObject, list, object, types } from "./openapi.js";
import { shell } from "./quote.js";
import { toolforge } from "./toolforge.js";

const LANGUAGES = [
  ["curl", "curl"],
  ["requests", "Python: requests"],
  ["weld", "Python: toolforge-weld"],
  ["toolforge", "toolforge"],
];

const STREAMED = /event-stream|ndjson|jsonl|json-seq/;

export class TryIt {
  #api;
  #shown;
  #settings;
  #values = new Map();
  #body = null;
  #way = null;
  #update = () => {};

  constructor(api, shown, settings) {
    this.#api = api;
    this.#shown = shown;
    this.#settings = settings;
    settings.watch(() => this.#update());
  }

  /** A control for a parameter: {id, element}. */
  field(parameter) {
    const id = newId("value");
    const schema = object(this.#api.follow(parameter.schema));
    const given = first(parameter.example, example(parameter), schema.example, list(schema.examples)[0]);
    const choices = types(schema).includes("boolean") ? ["true", "false"] : list(schema.enum).map(String);
    const start = given === undefined ? "" : text(given);
    let element;
    if (choices.length) {
      const options = parameter.required ? choices : ["", ...choices];
      element = h("select", { id }, options.map((each) => h("option", { value: each }, each || "(not given)")));
      if (options.includes(start)) element.value = start;
    } else {
      element = h("input", {
        id,
        autocomplete: "off",
        spellcheck: "false",
        placeholder: this.#placeholder(parameter, schema),
      });
      element.value = start;
    }
    element.addEventListener("input", () => this.#update());
    this.#values.set(parameter, element);
    return { id, element };
  }

  #placeholder(parameter, schema) {
    if (isTool(parameter)) return this.#settings.get("tool") || "my-tool";
    if (schema.default !== undefined) return text(schema.default);
    if (types(schema).includes("array")) return "one, two";
    return parameter.required ? "" : "not given";
  }

  /** A control for the body. */
  body(body, heading, chosen) {
    const kinds = Object.keys(body.content);
    const area = h("textarea", {
      rows: 6,
      spellcheck: "false",
      "aria-labelledby": heading,
      oninput: () => this.#update(),
    });
    const select = h(
      "select",
      { "aria-label": "Type of the body" },
      kinds.map((kind) => h("option", { value: kind }, kind)),
    );
    const start = () => {
      const media = object(body.content[select.value]);
      const given = first(media.example, example(media));
      const sample = given ?? (media.schema === undefined ? {} : this.#api.sample(media.schema));
      area.value = typeof sample === "string" ? sample : JSON.stringify(sample, null, 2);
      area.rows = Math.min(16, Math.max(2, area.value.split("\n").length));
      chosen(select.value);
      this.#update();
    };
    select.addEventListener("input", start);
    const preferred = kinds.find((kind) => /[/+]json\b/.test(kind));
    if (preferred) select.value = preferred;
    this.#body = { select, area, media: (kind) => object(body.content[kind]) };
    start();
    return h("div.body", {}, kinds.length > 1 ? h("p", {}, select) : h("p.quiet", {}, kinds[0]), area);
  }

  /**
   * A choice between the ways to be somebody, where there are several; else null.
   *
   * @param inWords - says what a scheme is.
   */
  credentials(inWords) {
    const ways = this.#api.security(this.#shown.operation);
    this.#way = ways[0] ?? null;
    if (ways.length < 2) return null;
    const id = newId("credentials");
    const select = h(
      "select",
      { id },
      ways.map((way, n) => {
        const words = way.map(({ name, scheme }) => inWords(name, scheme)).join(" and ");
        return h("option", { value: n }, words || "none");
      }),
    );
    select.addEventListener("input", () => {
      this.#way = ways[Number(select.value)];
      this.#update();
    });
    return h("p.credentials", {}, h("label", { for: id }, "With "), select);
  }

  /** The lines, with a tab for each language. */
  lines() {
    const settings = this.#settings;
    const panel = newId("lines");
    const code = h("code");
    const said = h("span.unseen", { role: "status" });
    const notes = h("ul.quiet.notes");
    const copy = h("button.copy", { type: "button" }, "Copy");
    const tabs = LANGUAGES.map(([name, title]) =>
      h(
        "button",
        {
          type: "button",
          role: "tab",
          id: newId("tab"),
          "aria-controls": panel,
          "data-language": name,
          onclick: () => settings.set("language", name),
        },
        title,
      ),
    );
    const box = h("div.lines", { id: panel, role: "tabpanel" }, h("pre", { tabindex: 0, "aria-label": "Lines to copy" }, code), copy, said, notes);
    const row = h("div.tabs", { role: "tablist", "aria-label": "Language" }, tabs);
    row.addEventListener("keydown", (event) => {
      const there = tabs.filter((each) => !each.hidden);
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const at = there.indexOf(document.activeElement);
      if (at < 0 || (step === undefined && !["Home", "End"].includes(event.key))) return;
      event.preventDefault();
      const next = step ? (at + step + there.length) % there.length : event.key === "Home" ? 0 : -1;
      there.at(next).click();
      there.at(next).focus();
    });
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        said.textContent = "Copied";
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        copy.textContent = "Selected: press Ctrl+C";
      }
      setTimeout(() => {
        copy.textContent = "Copy";
        said.textContent = "";
      }, 2000);
    });

    this.#update = () => {
      const { call, missing, wrong } = this.#call();
      // The last two have the tool's certificate, and nothing else.
      const certified = this.#takesCertificate() || this.#isOpen();
      const texts = {
        curl: curl(call),
        requests: requests(call),
        weld: certified ? weld(call) : null,
        toolforge: certified ? toolforge(call, this.#shown.path) : null,
      };
      const known = texts[settings.get("language")] ? settings.get("language") : "curl";
      for (const tab of tabs) {
        const name = tab.dataset.language;
        tab.hidden = texts[name] === null;
        tab.setAttribute("aria-selected", String(name === known));
        tab.tabIndex = name === known ? 0 : -1;
        if (name === known) box.setAttribute("aria-labelledby", tab.id);
      }
      code.textContent = texts[known];
      const remarks = [];
      if (missing.length) remarks.push(`Still to fill in: ${missing.join(", ")}.`);
      if (wrong) remarks.push(wrong);
      if (known === "toolforge" || known === "weld")
        remarks.push(`Run it on a Toolforge bastion as the tool: become ${shell(settings.get("tool") || "my-tool")}`);
      notes.replaceChildren(...remarks.map((each) => h("li", {}, each)));
    };
    this.#update();
    return [row, box];
  }

  /** {call: see commands.js, missing: names without a value, wrong: what is, or null}. */
  #call() {
    const missing = [];
    const call = { query: [], headers: [], cookies: [], body: null };
    let path = this.#shown.path;
    for (const [parameter, element] of this.#values) {
      const { name } = parameter;
      let value = element.value;
      if (value === "" && isTool(parameter)) value = this.#settings.get("tool") || "my-tool";
      if (value === "") {
        if (parameter.required) missing.push(name);
        if (parameter.in === "path") path = path.replaceAll(`{${name}}`, segment(name.toUpperCase()));
        else if (parameter.required) value = name.toUpperCase();
        if (value === "") continue;
      }
      if (parameter.in === "path") path = path.replaceAll(`{${name}}`, segment(value));
      else if (parameter.in === "query") call.query.push(...this.#pairs(parameter, value));
      else if (parameter.in === "header") call.headers.push([name, value.replace(/[\r\n]/g, " ")]);
      else if (parameter.in === "cookie") call.cookies.push([name, encodeURIComponent(value)]);
    }
    for (const { scheme } of this.#way ?? []) {
      if (scheme.type !== "apiKey") continue;
      missing.push(scheme.name);
      const pair = [scheme.name, String(scheme.name).toUpperCase()];
      if (scheme.in === "query") call.query.push(pair);
      else if (scheme.in === "header") call.headers.push(pair);
      else call.cookies.push(pair);
    }
    const { body, wrong } = this.#bodyOf();
    const kinds = this.#kinds();
    const settings = this.#settings.values;
    const bare = !this.#takesCertificate();
    return {
      missing,
      wrong,
      call: {
        ...call,
        method: this.#shown.method,
        server: settings.server,
        path,
        body,
        streams: kinds.some((kind) => STREAMED.test(kind)),
        json: kinds.every((kind) => /[/+]json\b/.test(kind)) && !kinds.some((kind) => STREAMED.test(kind)),
        settings: bare ? { ...settings, certificate: "", key: "" } : settings,
      },
    };
  }

  /** Whether nobody has to say who they are. */
  #isOpen() {
    return this.#way !== null && this.#way.length === 0;
  }

  /** Whether a certificate is shown; where nothing is said of credentials, it is. */
  #takesCertificate() {
    return this.#way === null || this.#way.some(({ scheme }) => scheme.type === "mutualTLS");
  }

  #pairs(parameter, value) {
    const schema = object(this.#api.follow(parameter.schema));
    if (!types(schema).includes("array")) return [[parameter.name, value]];
    const items = value.split(",").map((each) => each.trim());
    // OpenAPI 3.1, 4.8.12.2: in a query, `form` and exploded unless said otherwise.
    return parameter.explode === false
      ? [[parameter.name, items.join(",")]]
      : items.map((each) => [parameter.name, each]);
  }

  #bodyOf() {
    if (this.#body === null || this.#body.area.value.trim() === "") return { body: null, wrong: null };
    const { select, area, media } = this.#body;
    const type = select.value;
    if (!/json|form-urlencoded|multipart/.test(type))
      return { body: { type, kind: "text", value: area.value }, wrong: null };
    let value;
    try {
      value = JSON.parse(area.value);
    } catch {
      const wrong = "The body is not JSON: it is sent as it stands.";
      return { body: { type, kind: "text", value: area.value }, wrong };
    }
    if (/[/+]json\b/.test(type)) return { body: { type, kind: "json", value }, wrong: null };
    if (!isObject(value)) return { body: { type, kind: "text", value: area.value }, wrong: null };
    const properties = object(object(this.#api.follow(media(type).schema)).properties);
    const parts = Object.entries(value).map(([name, each]) => {
      const { format, contentMediaType } = object(this.#api.follow(properties[name]));
      return [name, text(each), format === "binary" || contentMediaType !== undefined];
    });
    return { body: { type, kind: type.includes("multipart") ? "multipart" : "form", value: parts }, wrong: null };
  }

  /** Media types of the answers that mean success. */
  #kinds() {
    return Object.entries(object(this.#shown.operation.responses))
      .filter(([status]) => status.startsWith("2"))
      .flatMap(([, each]) => Object.keys(object(object(this.#api.follow(each)).content)));
  }
}

function isTool({ name }) {
  return /^tool(_?name)?$/i.test(name);
}

/** The first of `examples` of a parameter or media type. */
function example(each) {
  return object(Object.values(object(each.examples))[0]).value;
}

function first(...values) {
  return values.find((each) => each !== undefined && each !== null);
}

function text(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
