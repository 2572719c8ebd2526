// The list of operations, with search and filter.

import { append, h, newId } from "./dom.js";
import { markdown, plain } from "./markdown.js";
import { object } from "./openapi.js";
import { operationView } from "./operation.js";
import { Settings } from "./settings.js";

/** Fill a place with all of a document. */
export function browser(api, place) {
  const settings = new Settings(api.servers(document.baseURI));
  const entries = api.operations.map((each) => new Entry(api, each, settings));
  const sections = api.names.map((name) => new Section(api, name, entries));
  const asked = new URLSearchParams(location.search);

  const search = h("input", {
    type: "search",
    id: "search",
    placeholder: "path, name or words",
    autocomplete: "off",
    spellcheck: "false",
    "aria-keyshortcuts": "/",
  });
  search.value = asked.get("q") ?? "";
  const chosen = api.names.includes(asked.get("api")) ? asked.get("api") : "";
  const filter = apiFilter(api, entries, chosen);
  const old = h("input", { type: "checkbox", id: "deprecated", checked: asked.get("old") !== "no" });
  const count = h("p.quiet.count", { role: "status" });
  const nothing = h("p.notice", { hidden: true }, "Nothing here matches. Try fewer words, or all APIs.");

  function update() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const name = filter.querySelector("input:checked").value;
    let shown = 0;
    for (const entry of entries) {
      const fits =
        (!name || entry.shown.api === name) &&
        (old.checked || !entry.shown.deprecated) &&
        words.every((word) => entry.text.includes(word));
      entry.element.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    for (const section of sections) section.update(name, words.length > 0);
    count.textContent =
      shown === entries.length ? `${shown} operations` : `${shown} of ${entries.length} operations`;
    nothing.hidden = shown > 0;
    remember({ q: search.value.trim(), api: name, old: old.checked ? "" : "no" });
  }

  for (const each of [search, filter, old]) each.addEventListener("input", update);
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    }
  });

  append(
    place,
    h(
      "div.browser",
      {},
      h(
        "form.finder",
        { role: "search", "aria-label": "Operations", onsubmit: (event) => event.preventDefault() },
        h("p", {}, h("label", { for: "search" }, "Search ", h("kbd", {}, "/")), search),
        filter,
        entries.some((each) => each.shown.deprecated)
          ? h("p.tick", {}, old, h("label", { for: "deprecated" }, "Show what is deprecated"))
          : null,
        count,
        settings.view(),
      ),
      h("div.operations", {}, nothing, sections.map((each) => each.element)),
    ),
  );
  update();
  const arrive = () => entries.find((each) => `#${each.shown.id}` === decoded())?.open();
  window.addEventListener("hashchange", arrive);
  arrive();
}

function decoded() {
  try {
    return decodeURIComponent(location.hash);
  } catch {
    return location.hash;
  }
}

/** Keep the address of the page one that leads here again. */
function remember(state) {
  const query = new URLSearchParams(Object.entries(state).filter(([, value]) => value)).toString();
  const url = `${location.pathname}${query ? `?${query}` : ""}${location.hash}`;
  history.replaceState(null, "", url);
}

function apiFilter(api, entries, chosen) {
  const choice = (value, title, number) => {
    const id = newId("api");
    const radio = h("input", { type: "radio", name: "api", id, value, checked: value === chosen });
    const label = h("label", { for: id }, title, " ", h("span.quiet", {}, number));
    return h("p.tick", {}, radio, label);
  };
  return h(
    "fieldset",
    {},
    h("legend", {}, "API"),
    choice("", "All", entries.length),
    api.names.map((name) =>
      choice(name, name, entries.filter((each) => each.shown.api === name).length),
    ),
  );
}

/** One API: its head and its operations. */
class Section {
  constructor(api, name, entries) {
    this.#name = name;
    this.#entries = entries.filter((each) => each.shown.api === name);
    const id = newId("api-head");
    const state = api.state(name);
    const info = object(state.info);
    const title = [info.title, info.version].filter((each) => typeof each === "string").join(" ");
    this.element = h(
      "section",
      { "aria-labelledby": id },
      h(
        "h2",
        { id },
        name,
        title ? [" ", h("span.quiet.version", {}, title)] : null,
        state.stale === true ? [" ", h("span.badge.warn", {}, "not up to date")] : null,
      ),
      staleness(state),
      markdown(state.info ? info.description : api.tag(name).description),
      this.#entries.map((each) => each.element),
      this.#entries.length ? null : h("p.quiet", {}, "Its documentation is not to be had now."),
    );
  }

  #entries;
  #name;

  /** @param api - the one that is chosen, or "". */
  update(api, searching) {
    this.element.hidden = this.#entries.length
      ? this.#entries.every((each) => each.element.hidden)
      : searching || (api !== "" && api !== this.#name);
  }
}

function staleness(state) {
  if (state.stale !== true) return null;
  const since = typeof state.fetched_at === "string" ? new Date(state.fetched_at) : null;
  const when =
    since && !Number.isNaN(since.getTime())
      ? ["This is what it said at ", h("time", { datetime: state.fetched_at }, moment(since)), ". "]
      : "";
  const why = typeof state.error === "string" ? `Asking it again failed: ${state.error}` : "";
  return h("p.notice.warn", {}, when, why);
}

function moment(date) {
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** One operation: a line that unfolds. */
class Entry {
  constructor(api, shown, settings) {
    this.shown = shown;
    const { operation } = shown;
    this.text = [
      shown.method,
      shown.path,
      shown.id,
      shown.summary,
      shown.tags.join(" "),
      typeof operation.description === "string" ? operation.description : "",
      shown.parameters.map((each) => each.name).join(" "),
    ]
      .join(" ")
      .toLowerCase();
    const panel = newId("operation");
    this.#button = h(
      "button",
      {
        type: "button",
        "aria-expanded": "false",
        "aria-controls": panel,
        onclick: () => this.#toggle(),
      },
      h("span.method", { "data-method": shown.method }, shown.method),
      h("span.path", {}, breakable(shown.path)),
      h("span.summary", {}, shown.summary || plain(operation.description).slice(0, 90)),
      shown.deprecated ? h("span.badge.warn", {}, "deprecated") : null,
    );
    this.#panel = h("div.panel", { id: panel, hidden: true });
    this.#make = () => operationView(api, shown, settings);
    this.element = h(
      "article.operation",
      // No id: the names are others', and the page has ids of its own.
      { "data-operation": shown.id, "data-deprecated": shown.deprecated },
      h("h3", {}, this.#button),
      this.#panel,
    );
  }

  #button;
  #panel;
  #make;

  /** Unfold it and go there. */
  open() {
    if (this.element.hidden) return;
    this.#show(true);
    this.#button.focus({ preventScroll: true });
    this.element.scrollIntoView();
  }

  #toggle() {
    const open = this.#button.getAttribute("aria-expanded") !== "true";
    this.#show(open);
    const hash = open ? `#${encodeURIComponent(this.shown.id)}` : "";
    history.replaceState(null, "", location.pathname + location.search + hash);
  }

  #show(open) {
    if (open && !this.#panel.childElementCount) append(this.#panel, this.#make());
    this.#panel.hidden = !open;
    this.#button.setAttribute("aria-expanded", String(open));
  }
}

/** A path that may be broken after a slash, and whose names stand out. */
function breakable(path) {
  return path
    .split(/(?<=\/)|(\{[^}]*\})/)
    .filter(Boolean)
    .flatMap((part) => (part.startsWith("{") ? [h("var", {}, part)] : [part, h("wbr")]));
}

