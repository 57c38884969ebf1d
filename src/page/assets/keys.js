// One place for keys: what is pressed, what it does, and the list of both.

import { byId, fill, make } from "./make.js";

const bound = new Map();

/// Binds a key. `group` is the heading under which it is listed.
export function bind(name, group, meaning, act) {
  if (name) bound.set(name, { group, meaning, act });
}

export function unbind(group) {
  for (const [name, { group: of }] of bound) if (of === group) bound.delete(name);
}

function isTyping(target) {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["radio", "checkbox", "range", "button"].includes(target.type);
}

function pressed(event) {
  if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
  const command = event.ctrlKey || event.metaKey;
  const target = event.target;
  if (event.key === "Escape" && isTyping(target)) {
    target.blur();
    return;
  }
  if (event.key === "Enter") {
    const isText = target instanceof HTMLTextAreaElement;
    const acts = target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement || target.tagName === "SUMMARY";
    if (!command && (isText || acts)) return;
    event.preventDefault();
    bound.get("Enter")?.act(event);
    return;
  }
  if (command || event.altKey || isTyping(target)) return;
  const binding = bound.get(event.key);
  // A key that is held down scrolls, and labels one unit only.
  if (!binding || (event.repeat && !event.key.startsWith("Page"))) return;
  event.preventDefault();
  binding.act(event);
}

export function help() {
  const groups = new Map();
  for (const [name, { group, meaning }] of bound) {
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(make("div", {}, make("dt", {}, make("kbd", {}, name)), make("dd", {}, meaning)));
  }
  const dialog = byId("help");
  fill(
    dialog,
    make("h2", {}, "Keys"),
    [...groups].map(([group, rows]) => [make("h3", {}, group), make("dl", { class: "keys" }, rows)]),
    make("p", {}, "In a text, Ctrl+Enter saves and Escape leaves it."),
    make("form", { method: "dialog" }, make("button", { autofocus: true }, "Close")),
  );
  dialog.showModal();
}

document.addEventListener("keydown", pressed);
bind("?", "Page", "these keys", help);
