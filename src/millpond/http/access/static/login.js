// Exchanges a login code for the cookie. The code comes in the fragment of the address, which no server and no log sees;
// it is taken out of the address, and so of the history, before anything else.
const code = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

const form = document.getElementById("login");
const field = document.getElementById("code");
const status = document.getElementById("status");
const home = location.pathname.replace(/login$/, "");

function tell(text, isError) {
  status.textContent = text;
  status.className = isError ? "error" : "";
}

async function logIn(given) {
  tell("Logging in …", false);
  let answer;
  try {
    answer = await fetch(location.pathname, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code: given }),
    });
  } catch {
    tell("The server does not answer. Is it running?", true);
    return;
  }
  if (answer.ok) {
    tell("Logged in.", false);
    location.replace(home);
  } else if (answer.status === 401) {
    tell("This code was used already, or has expired. Run millpond login on the server's machine for another.", true);
    field.setAttribute("aria-invalid", "true");
    field.focus();
  } else if (answer.status === 429) {
    tell("Too many wrong codes. Wait a second, then try again.", true);
  } else {
    tell(`The server refused the login (status ${answer.status}).`, true);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  field.removeAttribute("aria-invalid");
  logIn(field.value.trim().replace(/^.*#/, ""));
});
form.hidden = false;

if (code) {
  logIn(code);
} else {
  field.focus();
}
