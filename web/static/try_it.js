// Try: pictures that are dropped, pasted or chosen are labelled one after the other, each with its card.

const form = document.getElementById("upload");
const input = document.getElementById("files");
const results = document.getElementById("results");
const status = document.getElementById("status");
const pending = document.getElementById("pending");
const said = form.dataset;
/** Seconds after which the model, which is being prepared, is asked again, where the server does not say. */
const TRY_AGAIN_S = 5;

const waiting = [];
let isAtWork = false;
let done = 0;
let all = 0;

form.classList.add("scripted");
form.querySelector("label").classList.add("button", "first");
form.querySelector("button").hidden = true;
form.querySelector(".with-script").hidden = false;
input.required = false;

input.addEventListener("change", () => {
  add(input.files);
  input.value = ""; // so that the same file can be chosen again
});

form.addEventListener("submit", (event) => event.preventDefault());

document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) {
    event.preventDefault();
    add(event.clipboardData.files);
  }
});

// On the whole page: a picture that misses the field would otherwise be opened in the page's place.
let within = 0;
document.addEventListener("dragenter", (event) => {
  within += 1;
  form.classList.toggle("over", event.dataTransfer.types.includes("Files"));
});
document.addEventListener("dragleave", () => {
  within -= 1;
  if (within <= 0) {
    form.classList.remove("over");
  }
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  within = 0;
  form.classList.remove("over");
  add(event.dataTransfer.files);
});

function add(files) {
  const taken = [...files].slice(0, Number(said.most));
  const cards = taken.map((file) => ({ file, card: pendingCard(file) }));
  results.prepend(...cards.map(({ card }) => card));
  waiting.push(...cards);
  all += cards.length;
  status.textContent = files.length > taken.length ? said.tooMany : "";
  work();
}

function pendingCard(file) {
  const card = pending.content.firstElementChild.cloneNode(true);
  card.querySelector("h2").textContent = file.name;
  const image = card.querySelector("img");
  image.addEventListener("load", () => (image.hidden = false));
  image.src = URL.createObjectURL(file); // of a format that the browser does not show, it stays hidden
  return card;
}

async function work() {
  if (isAtWork) {
    return;
  }
  isAtWork = true;
  const refused = status.textContent;
  while (waiting.length) {
    const { file, card } = waiting.shift();
    status.textContent = `${refused} ${said.progress.replace("{done}", done + 1).replace("{all}", all)}`;
    await label(file, card);
    done += 1;
  }
  status.textContent = refused;
  done = 0;
  all = 0;
  isAtWork = false;
}

async function label(file, card) {
  const image = card.querySelector("img");
  try {
    if (file.size > Number(said.mostBytes)) {
      throw new Refused(said.tooLarge);
    }
    const cards = await cardsOf(file, card);
    card.replaceWith(...cards);
  } catch (error) {
    const why = card.querySelector(".notice");
    why.textContent = error instanceof Refused ? error.message : said.noAnswer;
    why.hidden = false;
    card.querySelector("progress").remove();
    card.removeAttribute("aria-busy");
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

class Refused extends Error {}

/** Return what the server found in a picture, as elements. */
async function cardsOf(file, card) {
  for (;;) {
    const body = new FormData();
    body.append("files", file);
    const response = await fetch("/try?cards", { method: "POST", body, headers: { Accept: "text/html" } });
    const retryAfter = response.headers.get("Retry-After");
    if (response.status === 503 && retryAfter !== null && card.isConnected) {
      status.textContent = await sentence(response);
      await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(retryAfter) || TRY_AGAIN_S)));
      continue;
    }
    if (response.status !== 200 && response.status !== 422) {
      throw new Refused(await sentence(response));
    }
    document.getElementById("preparing")?.remove();
    const answer = new DOMParser().parseFromString(await response.text(), "text/html");
    return answer.querySelectorAll("article");
  }
}

/** Return why the server refused: in JSON, or on a page. */
async function sentence(response) {
  const text = await response.text();
  if (response.headers.get("Content-Type")?.includes("json")) {
    return JSON.parse(text).error;
  }
  return new DOMParser().parseFromString(text, "text/html").querySelector("[role=alert]")?.textContent ?? response.statusText;
}
