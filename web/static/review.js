// Review by keyboard: a key is the button that names it. The next picture is loaded while one looks at this one.
import { suggestNames } from "./names.js";

const buttons = { y: "right", arrowright: "right", n: "wrong", s: "skip" };

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea");
  if (event.key === "Escape" && isTyping) {
    event.target.blur();
  }
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.repeat) {
    return;
  }
  const key = event.key.toLowerCase();
  const field = document.getElementById("name");
  if (key in buttons) {
    document.querySelector(`#answer button[value=${buttons[key]}]`)?.click();
  } else if (key === "b") {
    document.getElementById("back")?.click();
  } else if (key === "=" && field) {
    field.focus();
  } else {
    return;
  }
  event.preventDefault();
});

// An answer is given once, however fast one types: a second one would be for the next picture, unseen.
let isAnswered = false;
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (isAnswered) {
      event.preventDefault();
    }
    isAnswered = true;
  });
}
window.addEventListener("pageshow", () => {
  isAnswered = false;
});

for (const field of document.querySelectorAll("input[data-names]")) {
  suggestNames(field, document.getElementById(field.getAttribute("list")));
}

const next = document.getElementById("next");
if (next) {
  new Image().src = next.dataset.picture;
}
