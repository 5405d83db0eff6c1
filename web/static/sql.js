// The box: Ctrl+Enter runs what it holds, and meanwhile the page says so.
const form = document.getElementById("query");
const box = form.querySelector("textarea");
const status = document.getElementById("status");
const hint = status.textContent;

box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

form.addEventListener("submit", () => {
  status.textContent = form.dataset.running;
  form.querySelector("button").disabled = true;
});

// A page that comes back by the browser's button is as it was left.
window.addEventListener("pageshow", () => {
  status.textContent = hint;
  form.querySelector("button").disabled = false;
});

if (!box.value) {
  box.focus();
}
