// Ends this browser's login.
const button = document.getElementById("logout");
button.hidden = false;
button.addEventListener("click", async () => {
  button.disabled = true;
  const answer = await fetch(button.dataset.path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: "{}",
  }).catch(() => null);
  if (answer && (answer.ok || answer.status === 401)) {
    location.reload();
  } else {
    button.disabled = false;
    document.getElementById("status").textContent = "The server did not log you out. Try again.";
  }
});
