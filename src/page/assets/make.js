// Elements and their texts. Every text becomes a text node: nothing that a transcript, a note or a file name holds is ever read as markup.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

export function key(name) {
  return name ? make("kbd", { "aria-hidden": "true" }, name) : null;
}

/// A button whose key is shown, and told to those who do not see it.
export function button(text, name, act, more = {}) {
  return make("button", { type: "button", click: act, "aria-keyshortcuts": name, ...more }, text, key(name));
}

export function say(text) {
  byId("status").textContent = text;
}

export function alarm(text) {
  byId("alert").textContent = text;
}

export function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/// A label as people read it.
export function words(name) {
  return name.replaceAll("_", " ");
}
