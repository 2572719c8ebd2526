// Making elements without ever parsing HTML: whatever a document says, it stays text.

/**
 * Make an element.
 *
 * @param {string} tag - its name, with classes after dots: "p.quiet.small".
 * @param {Object} attributes - "on..." are listeners, true is an attribute without a value;
 *   null, undefined and false are left out.
 * @param {...(Node|string|number|null|Array)} children - null is left out.
 */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** Append what `h` takes as children. */
export function append(parent, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
  return parent;
}

/** A `details` whose content is made when it is opened for the first time. */
export function fold(summary, make, attributes = {}) {
  const element = h("details", attributes, h("summary", {}, summary));
  element.addEventListener("toggle", () => {
    if (element.open && element.childElementCount === 1) append(element, make());
  });
  return element;
}

let last = 0;

/** An id that no other element has. */
export function newId(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}
