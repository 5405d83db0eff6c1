// The gallery: pictures as one types, further ones as one scrolls, and all of it by keyboard.
import { suggestNames } from "./names.js";

const form = document.querySelector("#search");
const words = document.querySelector("#words");
const found = document.querySelector("#found");
const counts = document.querySelector("#counts");
const said = document.querySelector("#said");
let asked = 0;

function fragment(html) {
  return new DOMParser().parseFromString(html, "text/html").body;
}

async function read(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(fragment(await answer.text()).querySelector("[role=alert]")?.textContent ?? found.dataset.failed);
  return answer.text();
}

function query() {
  const given = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") given.append(name, value);
  return given;
}

async function showCounts(atLeisure = false) {
  const now = asked;
  try {
    const html = await read(`/gallery/counts?${query()}${atLeisure ? "&leisure=yes" : ""}`);
    if (now !== asked) return;
    const open = new Map([...counts.querySelectorAll("details")].map((one) => [one.querySelector("summary").textContent, one.open]));
    counts.replaceChildren(...fragment(html).childNodes);
    const narrow = matchMedia("(max-width: 50rem)").matches; // the pictures are not to be far below
    for (const one of counts.querySelectorAll("details")) {
      one.open = open.get(one.querySelector("summary").textContent) ?? (one.open && !narrow);
    }
    if (!atLeisure && counts.querySelector("[data-complete=no]")) await showCounts(true);
  } catch {
    if (now === asked && !atLeisure) counts.replaceChildren();
  }
}

async function search() {
  const now = ++asked;
  await new Promise((resolve) => setTimeout(resolve, 250));
  if (now !== asked) return;
  const given = query();
  try {
    const html = await read(`/gallery/tiles?${given}`);
    if (now !== asked) return;
    found.replaceChildren(...fragment(html).childNodes);
    said.textContent = "";
    history.replaceState(null, "", given.size ? `/gallery?${given}` : "/gallery");
    watch();
    await showCounts();
  } catch (error) {
    if (now === asked) said.textContent = error.message;
  }
}

const watcher = new IntersectionObserver((seen) => {
  if (seen.some((one) => one.isIntersecting)) further();
}, { rootMargin: "1200px" });

function watch() {
  watcher.disconnect();
  const more = found.querySelector("#more");
  if (more) watcher.observe(more);
}

async function further() {
  const more = found.querySelector("#more");
  if (!more || more.dataset.asked) return;
  more.dataset.asked = "yes";
  const now = asked;
  try {
    const next = fragment(await read(`/gallery/tiles${new URL(more.href).search}`));
    if (now !== asked) return;
    found.querySelector(".pictures").append(...next.querySelectorAll(".pictures > li"));
    const further = next.querySelector("#more");
    if (further) more.replaceWith(further);
    else more.parentElement.remove();
    watch();
  } catch (error) {
    delete more.dataset.asked; // the link is still there
    said.textContent = error.message;
  }
}

function move(key) {
  const tiles = [...found.querySelectorAll(".tile")];
  const at = tiles.indexOf(document.activeElement);
  const columns = tiles.filter((tile) => tile.offsetTop === tiles[0]?.offsetTop).length || 1;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -tiles.length, End: tiles.length }[key];
  const to = at < 0 ? 0 : Math.max(0, Math.min(tiles.length - 1, at + step));
  tiles[to]?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const types = event.target.closest("input, select, textarea, summary");
  if (event.key === "/" && !types) {
    words.focus();
    words.select();
    event.preventDefault();
  } else if (event.key === "Escape" && event.target === words) {
    found.querySelector(".tile")?.focus();
  } else if (/^(Arrow|Home$|End$)/.test(event.key) && !types && (event.key.startsWith("Arrow") || event.target.closest(".tile"))) {
    move(event.key);
    event.preventDefault();
  }
});
form.addEventListener("input", search);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
suggestNames(words, document.querySelector("#names"));
watch();
showCounts();
