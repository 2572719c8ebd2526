// Descriptions are CommonMark (OpenAPI 3.1 section 4.4).  The parser is the vendored one; its tree
// becomes elements here, and HTML within it stays text.

import "../vendor/commonmark/commonmark.js";
import { h } from "./dom.js";

const { Parser } = globalThis.commonmark;

const BLOCKS = {
  paragraph: () => h("p"),
  block_quote: () => h("blockquote"),
  item: () => h("li"),
  emph: () => h("em"),
  strong: () => h("strong"),
  list: (node) =>
    node.listType === "ordered"
      ? h("ol", { start: node.listStart === 1 ? null : node.listStart })
      : h("ul"),
  // The page has its own headings; those of a description are below all of them.
  heading: () => h("p.heading"),
  link: (node) => link(node.destination, node.title),
  // Nothing is loaded from elsewhere: a picture is a link with its text.
  image: (node) => link(node.destination, node.title),
};

const LEAVES = {
  text: (node) => node.literal,
  html_inline: (node) => node.literal,
  html_block: (node) => h("p", {}, node.literal),
  code: (node) => h("code", {}, node.literal),
  code_block: (node) => h("pre", { tabindex: 0 }, h("code", {}, node.literal)),
  softbreak: () => "\n",
  linebreak: () => h("br"),
  thematic_break: () => h("hr"),
};

function link(destination, title) {
  let url = null;
  try {
    url = new URL(destination, document.baseURI);
  } catch {
    // Not an address: its text alone is shown.
  }
  if (url === null || !["http:", "https:", "mailto:"].includes(url.protocol)) return h("span");
  return h("a", { href: url.href, title: title || null, rel: "noreferrer" });
}

/** Elements for a text; an empty list for none. */
export function markdown(text) {
  if (typeof text !== "string" || !text.trim()) return [];
  const top = h("div.prose");
  const open = [top];
  const walker = new Parser().parse(text).walker();
  for (let step = walker.next(); step; step = walker.next()) {
    const { node, entering } = step;
    if (node.type in LEAVES) open.at(-1).append(LEAVES[node.type](node));
    else if (node.type in BLOCKS) {
      if (entering) {
        const element = BLOCKS[node.type](node);
        open.at(-1).append(element);
        open.push(element);
      } else open.pop();
    }
  }
  return [top];
}

/** The text of a description without its marks, in one line. */
export function plain(text) {
  return markdown(text)
    .map((each) => each.textContent)
    .join(" ")
    .replace(/\s+/g, " ")
    .trim();
}
