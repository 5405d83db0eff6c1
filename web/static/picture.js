// An image's own page: the pictures beside it by ← and →, and back by Escape.
import { suggestNames } from "./names.js";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, .scroll")) return;
  const link = { ArrowLeft: "#previous", ArrowRight: "#next", Escape: "#back" }[event.key];
  document.querySelector(link ?? "none")?.click();
});
const words = document.querySelector("#words");
if (words) suggestNames(words, document.querySelector("#names"));
