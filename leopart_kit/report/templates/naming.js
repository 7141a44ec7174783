// The page: fields, order, filter, suggestions, files, undo.
const byId = (id) => document.getElementById(id);
const parts = [...document.querySelectorAll(".part")];
const partByKey = new Map(parts.map((part) => [part.dataset.key, part]));
const partOf = (key) => partByKey.get(key);
const titleOf = (key) => partOf(key).querySelector("h2").textContent;
const nameField = (part) => part.querySelector(".name");
const shownParts = () => [...document.querySelectorAll(".part")].filter((part) => !part.hidden);
const SUGGESTED = 3;

const percent = (share) => `${share < 10 ? Number(share.toPrecision(2)) : Math.round(share)} %`;
const images = ({ images }) => `${images.toLocaleString("en")} image${images === 1 ? "" : "s"}`;

function make(tag, text, properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: text, ...properties });
}

function showPart(part) {
  const { key } = part.dataset;
  const field = nameField(part);
  const name = nameOf(key);
  if (field !== document.activeElement || field.value.trim() !== name) field.value = name;
  part.classList.toggle("named", name !== "");
  const all = classOf(key);
  const others = all.filter((other) => other !== key).map(titleOf);
  part.querySelector(".joined").hidden = !others.length;
  if (!others.length) return;
  const extent = extentOf(all);
  const listed = others.length > 4 ? [...others.slice(0, 3), `${others.length - 3} more`] : others;
  part.querySelector(".joined span").textContent =
    `One class with ${listed.join(", ")}: ${percent(extent.share)} of the patches, in ${images(extent)}.`;
}

function showCounts() {
  const named = keys.filter(nameOf);
  const extent = extentOf(named);
  byId("count").textContent =
    `${named.length} of ${keys.length} named · ${percent(extent.share)} of the patches · ` +
    `in ${extent.images.toLocaleString("en")} of ${facts.num_images.toLocaleString("en")} images`;
  const known = new Set(["background", ...Object.values(state.names).filter(Boolean)]);
  byId("known-names").replaceChildren(...[...known].sort().map((name) => new Option(name, name)));
  byId("undo").disabled = !past.length;
  byId("redo").disabled = !future.length;
}

function sideOf(key) {
  const side = make("div", "", { className: "pair-side" });
  const title = make("b", [titleOf(key), nameOf(key)].filter(Boolean).join(": "));
  title.prepend(partOf(key).querySelector(".swatch").cloneNode());
  const crops = [...partOf(key).querySelectorAll(".crop")].slice(0, 3).map((crop) => {
    const copy = crop.cloneNode(true);
    copy.tabIndex = -1;
    copy.addEventListener("click", () => openCrop(crop));
    return copy;
  });
  const pictures = make("div", "", { className: "crops" });
  pictures.append(...crops);
  side.append(title, pictures);
  return side;
}

function cardOf([a, b, likeness]) {
  const card = make("li", "");
  const pair = `${titleOf(a)} and ${titleOf(b)}`;
  const button = (text, words, decide) => {
    const made = make("button", text, { type: "button" });
    made.setAttribute("aria-label", `${pair}: ${words}`);
    made.addEventListener("click", () => {
      decide();
      showAll();
      byId("pairs").querySelector(`button[data-what="${made.dataset.what}"]`)?.focus();
    });
    made.dataset.what = words;
    return made;
  };
  const buttons = make("div", "", { className: "answers" });
  buttons.append(
    button("Merge", "merge", () => act(withMerge(a, b), `merging ${pair}`)),
    button("Keep apart", "keep apart", () => {
      act({ ...state, declined: [...state.declined, [a, b]] }, `keeping ${pair} apart`);
    }),
    make("span", `similarity ${likeness.toFixed(2)}`, { className: "quiet" }),
  );
  card.append(sideOf(a), sideOf(b), buttons);
  return card;
}

function showPairs() {
  const open = openPairs();
  byId("alike").hidden = !facts.alike_pairs.length;
  byId("num-pairs").textContent = open.length ? `${open.length} pair${open.length === 1 ? "" : "s"} to look at` : "none is left";
  byId("pairs").replaceChildren(...open.slice(0, SUGGESTED).map(cardOf));
}

function showAll() {
  parts.forEach(showPart);
  showCounts();
  showPairs();
  if (dialog.open) {
    describeDialog();
    draw();
  }
}

function setName(key, name, field) {
  act(withName(key, name), `the name of ${titleOf(key)}`, field);
  showAll();
}

function say(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
}

function filter() {
  const wanted = byId("search").value.trim().toLowerCase();
  const unnamedOnly = byId("unnamed-only").checked;
  for (const part of parts) {
    const name = nameOf(part.dataset.key);
    const words = `${titleOf(part.dataset.key)} ${name}`.toLowerCase();
    const found = /^\d+$/.test(wanted)
      ? words.split(/\s+/).includes(wanted)
      : words.includes(wanted);
    part.hidden = !found || (unnamedOnly && name !== "");
  }
  byId("none").hidden = parts.some((part) => !part.hidden);
}

function arrange() {
  const orders = {
    size: keys,
    alike: facts.alike_order,
    number: [...keys].sort((a, b) => numberOf(a) - numberOf(b)),
  };
  document.querySelector(".parts").append(...orders[byId("order").value].map(partOf));
}

function goOn(part, step) {
  const shown = [...document.querySelectorAll(".part")].filter((other) => !other.hidden || other === part);
  const next = shown[shown.indexOf(part) + step];
  if (!next) return;
  nameField(next).focus();
  nameField(next).select();
  next.scrollIntoView({ block: "nearest" });
}

function travel(from, to, word) {
  const what = goBack(from, to);
  if (what === null) return;
  showAll();
  byId("done").textContent = `${word}: ${what}`;
}
const undo = () => travel(past, future, "Undone");
const redo = () => travel(future, past, "Done again");

function download() {
  const text = JSON.stringify(exportedNames(), null, 2) + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "names.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// As leopart_kit reads it: "7" and "part_007" are a cluster, "object_002" is a community.
function readKey(key) {
  const [, number, object] = /^(?:(?:part_)?(\d+)|object_(\d+))$/.exec(key) ?? [];
  if (number !== undefined) return String(Number(number));
  if (object !== undefined) return "object_" + String(Number(object)).padStart(3, "0");
  throw new Error(`“${key}” is not the number of a part`);
}

async function load(file) {
  try {
    const entries = Object.entries(JSON.parse(await file.text()));
    const wrong = entries.find(([, name]) => typeof name !== "string");
    if (wrong) throw new Error(`the name of “${wrong[0]}” is not text`);
    const loaded = Object.fromEntries(entries.map(([key, name]) => [readKey(key), name.trim()]));
    const none = Object.fromEntries(Object.keys(state.names).map((key) => [key, ""]));
    const found = unmergedNames(loaded);
    act({ ...found, names: { ...none, ...found.names } }, `loading ${file.name}`);
    const others = Object.keys(loaded).filter((key) => !partOf(key));
    say(others.length ? `Kept, though not on this page: ${others.join(", ")}.` : "");
    showAll();
    filter();
  } catch (error) {
    say(`${file.name} was not loaded: ${error.message}. Expected {"0": "wheel", …}.`);
  }
}

for (const part of parts) {
  const field = nameField(part);
  const { key } = part.dataset;
  field.addEventListener("input", () => setName(key, field.value, field));
  field.addEventListener("focus", () => (lastField = null));
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    goOn(part, event.shiftKey ? -1 : 1);
  });
  for (const button of part.querySelectorAll("[data-offer]")) {
    button.addEventListener("click", () => {
      setName(key, button.dataset.offer);
      goOn(part, 1);
    });
  }
  for (const crop of part.querySelectorAll(".crop")) crop.addEventListener("click", () => openCrop(crop));
  part.querySelector(".joined button").addEventListener("click", () => {
    act(withoutMerge(key), `taking ${titleOf(key)} out of its class`);
    showAll();
    field.focus();
  });
}
const enlargedField = inDialog("input");
enlargedField.addEventListener("input", () => setName(opened.key, enlargedField.value, opened.key));
enlargedField.addEventListener("focus", () => (lastField = null));
enlargedField.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault();
  stepPart(event.shiftKey ? -1 : 1);
});
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.target === byId("search")) return;
  const letter = event.key.toLowerCase();
  if (letter !== "z" && letter !== "y") return;
  event.preventDefault();
  (letter === "y" || event.shiftKey ? redo : undo)();
});
byId("search").addEventListener("input", filter);
byId("unnamed-only").addEventListener("change", filter);
byId("order").addEventListener("input", arrange);
byId("undo").addEventListener("click", undo);
byId("redo").addEventListener("click", redo);
byId("download").addEventListener("click", download);
byId("load").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) load(file);
  event.target.value = "";
});
showAll();
