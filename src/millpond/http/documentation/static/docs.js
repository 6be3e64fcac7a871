// The forms of /docs: each sends its request, and shows the answer as it comes. A token is kept in the page only.
const token = document.getElementById("token");
const MOST_SHOWN = 200000; // characters of an answer

const access = document.getElementById("access");
if (access) {
  access.hidden = false;
  access.addEventListener("submit", (event) => event.preventDefault());
}

function target(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll("input[data-in]")) {
    if (field.dataset.in === "path") {
      path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
    } else if (field.value !== "") {
      query.append(field.name, field.value);
    }
  }
  return query.size ? `${path}?${query}` : path;
}

function request(form, signal) {
  const headers = {};
  const body = form.elements.namedItem("body");
  if (form.dataset.method !== "GET") {
    headers["Content-Type"] = "application/json";
  }
  if (token && token.value.trim()) {
    headers["Authorization"] = `Bearer ${token.value.trim()}`;
  }
  return fetch(target(form), { method: form.dataset.method, headers, body: body ? body.value : undefined, signal });
}

function pretty(text, kind) {
  if (!/json$/.test(kind)) {
    return text;
  }
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function show(form, answer, began) {
  const kind = (answer.headers.get("Content-Type") || "").split(";")[0];
  const output = form.querySelector("output");
  const shown = form.querySelector(".answer");
  const reader = answer.body ? answer.body.pipeThrough(new TextDecoderStream()).getReader() : null;
  let text = "";
  shown.hidden = false;
  while (reader) {
    const { done, value } = await reader.read();
    if (done || text.length > MOST_SHOWN) {
      break;
    }
    text += value;
    shown.textContent = text;
  }
  if (reader && text.length > MOST_SHOWN) {
    await reader.cancel();
    text = `${text.slice(0, MOST_SHOWN)}\n… cut off here`;
  }
  shown.textContent = pretty(text, kind);
  shown.hidden = text === "";
  const took = Math.round(performance.now() - began);
  output.textContent = `${answer.status} ${answer.statusText}, ${took} ms`;
  output.className = answer.ok ? "" : "error";
}

function checked(form) {
  const body = form.elements.namedItem("body");
  if (!body || body.value.trim() === "") {
    return "";
  }
  try {
    JSON.parse(body.value);
    body.removeAttribute("aria-invalid");
    return "";
  } catch (error) {
    body.setAttribute("aria-invalid", "true");
    body.focus();
    return `This is not JSON: ${error.message}`;
  }
}

async function send(form) {
  const output = form.querySelector("output");
  const [button, stop] = form.querySelectorAll("button");
  const wrong = checked(form);
  if (wrong) {
    output.textContent = wrong;
    output.className = "error";
    return;
  }
  const control = new AbortController();
  const began = performance.now();
  stop.onclick = () => control.abort();
  button.disabled = true;
  stop.hidden = false;
  output.textContent = "Sending …";
  output.className = "";
  try {
    await show(form, await request(form, control.signal), began);
  } catch (error) {
    output.textContent = error.name === "AbortError" ? "Stopped." : "The server does not answer. Is it running?";
    output.className = "error";
  } finally {
    button.disabled = false;
    stop.hidden = true;
  }
}

for (const form of document.querySelectorAll("form.try")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!("confirm" in form.dataset) || confirm("This changes something for everybody who uses the pool. Go on?")) {
      send(form);
    }
  });
}
