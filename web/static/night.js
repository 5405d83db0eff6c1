// Night: what has changed is put in the place of what is there.

const state = document.getElementById("state");
const lost = document.getElementById("lost");
let isAsking = false;
let isAskedAgain = false;

const events = new EventSource("/night/events");
events.addEventListener("changed", refresh);
events.addEventListener("open", () => (lost.hidden = true));
events.addEventListener("error", () => (lost.hidden = false)); // the browser tries again by itself

async function refresh() {
  if (isAsking) {
    isAskedAgain = true;
    return;
  }
  isAsking = true;
  try {
    const response = await fetch(state.dataset.state);
    if (response.ok) {
      show(await response.text());
    }
    lost.hidden = response.ok;
  } catch {
    lost.hidden = false;
  }
  isAsking = false;
  if (isAskedAgain) {
    isAskedAgain = false;
    refresh();
  }
}

/** Show a new state; whoever had come to a link by keyboard stays there. */
function show(html) {
  const address = state.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const scrolled = [...state.querySelectorAll(".scroll")].map((table) => table.scrollLeft);
  state.innerHTML = html; // our own server's, which escapes what is not
  state.querySelectorAll(".scroll").forEach((table, place) => (table.scrollLeft = scrolled[place] ?? 0));
  if (address !== null) {
    state.querySelector(`a[href="${CSS.escape(address)}"]`)?.focus();
  }
}
