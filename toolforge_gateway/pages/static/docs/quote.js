// Words that a shell or Python reads as exactly the value that was meant.

/** A word of a POSIX shell. */
export function shell(value) {
  const text = String(value);
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A file name as a word of a shell; a tilde at its beginning stays the home folder. */
export function shellPath(path) {
  if (path === "~") return path;
  return path.startsWith("~/") ? `~/${shell(path.slice(2))}` : shell(path);
}

/** A literal of Python. */
export function python(value, indent = "") {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  // JSON's text literals are Python's as well.
  if (typeof value !== "object") return JSON.stringify(value);
  const deeper = `${indent}    `;
  const inner = Array.isArray(value)
    ? value.map((each) => python(each, deeper))
    : Object.entries(value).map(([key, each]) => `${python(key)}: ${python(each, deeper)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const line = `${open}${inner.join(", ")}${close}`;
  if (line.length + indent.length <= 60 && !line.includes("\n")) return line;
  return `${open}\n${inner.map((each) => `${deeper}${each},\n`).join("")}${indent}${close}`;
}

/** A file name as an expression of Python. */
export function pythonPath(path) {
  return path.startsWith("~") ? `os.path.expanduser(${python(path)})` : python(path);
}
