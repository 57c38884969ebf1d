// What is asked of the server. Whatever goes wrong becomes an Error with one sentence for the person at the page.

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new Error(`${options?.method === "POST" ? "not saved: " : ""}the server does not answer. Is \`interrater label\` still running?`);
  }
  const text = await response.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Not ours, or cut off: the status says enough.
  }
  if (!response.ok) throw new Error(body?.error ?? `the server says ${response.status}: ${text.slice(0, 200)}`);
  if (body === null) throw new Error("the server's answer was cut off");
  return body;
}

export const get = (path) => ask(path);

export const post = (path, body = {}) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
