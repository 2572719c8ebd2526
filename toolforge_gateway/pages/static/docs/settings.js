// What command lines need to know of whoever will run them.  Kept in this browser only.

import { h, newId } from "./dom.js";

const KEY = "toolforge-gateway docs";
const FIRST = {
  tool: "",
  certificate: "~/.toolskube/client.crt",
  key: "~/.toolskube/client.key",
  authority: "",
  language: "curl",
};

const FIELDS = [
  ["tool", "Tool", "my-tool", "Its name, without “tool-”."],
  ["certificate", "Certificate", "none", "Where a tool's home folder has it."],
  ["key", "Private key", "none", ""],
  ["authority", "Authority (CA)", "the system's", "Only if your system does not trust the server."],
];

export class Settings {
  #values;
  #listeners = [];

  /** @param servers - as `Api.servers` gives them. */
  constructor(servers) {
    this.servers = servers;
    this.#values = { ...FIRST, server: servers[0].url };
    try {
      const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
      for (const name of Object.keys(FIRST))
        if (typeof kept[name] === "string") this.#values[name] = kept[name];
    } catch {
      // Nothing is kept, or may be.
    }
  }

  get(name) {
    return this.#values[name];
  }

  get values() {
    return { ...this.#values };
  }

  set(name, value) {
    this.#values[name] = value;
    try {
      const { server: _, ...kept } = this.#values;
      localStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
      // Then it lasts as long as this page.
    }
    for (const listener of this.#listeners) listener(name);
  }

  /** Call a function with the name of what has changed. */
  watch(listener) {
    this.#listeners.push(listener);
  }

  /** A form for them. */
  view() {
    const rows = [];
    if (this.servers.length > 1) {
      const id = newId("setting");
      const select = h(
        "select",
        { id, onchange: () => this.set("server", select.value) },
        this.servers.map(({ url, description }) =>
          h("option", { value: url }, description ? `${url} (${description})` : url),
        ),
      );
      rows.push(h("p", {}, h("label", { for: id }, "Server"), select));
    }
    for (const [name, title, placeholder, hint] of FIELDS) {
      const id = newId("setting");
      const input = h("input", {
        id,
        placeholder,
        autocomplete: "off",
        spellcheck: "false",
        "data-setting": name,
        "aria-describedby": hint ? `${id}-hint` : null,
        oninput: () => this.set(name, input.value.trim()),
      });
      input.value = this.get(name);
      rows.push(
        h(
          "p",
          {},
          h("label", { for: id }, title),
          input,
          hint ? h("span.quiet.hint", { id: `${id}-hint` }, hint) : null,
        ),
      );
    }
    return h(
      "details.settings",
      {},
      h("summary", {}, "For the command lines"),
      h("div", {}, rows),
    );
  }
}
