// Names by key, as in names.json; an empty text means that a name was taken away.
const STORE_KEY = "leopart-kit names " + document.body.dataset.model;
const HASH_START = "#names=";
const parts = [...document.querySelectorAll(".part")];
const names = { ...JSON.parse(document.body.dataset.names), ...readStored() };

const byId = (id) => document.getElementById(id);
const nameField = (part) => part.querySelector(".name");

// Some browsers give pages from the file system no storage: the address keeps the names then.
function readStored() {
  for (const read of [() => localStorage.getItem(STORE_KEY), readHash]) {
    try {
      const stored = JSON.parse(read());
      if (stored) return stored;
    } catch {
      continue;
    }
  }
  return {};
}

function readHash() {
  if (!location.hash.startsWith(HASH_START)) return null;
  const [key, stored] = JSON.parse(decodeURIComponent(location.hash.slice(HASH_START.length)));
  return key === STORE_KEY ? JSON.stringify(stored) : null;
}

function store() {
  try {
    localStorage.setItem(STORE_KEY, JSON.stringify(names));
  } catch {
    location.replace(HASH_START + encodeURIComponent(JSON.stringify([STORE_KEY, names])));
  }
}

function filled() {
  return Object.fromEntries(Object.entries(names).filter(([, name]) => name));
}

function show() {
  for (const part of parts) {
    const field = nameField(part);
    const name = names[part.dataset.key] ?? "";
    if (field !== document.activeElement || field.value.trim() !== name) field.value = name;
    part.classList.toggle("named", name !== "");
  }
  const known = new Set(["background", ...Object.values(filled())]);
  byId("known-names").replaceChildren(...[...known].sort().map((name) => new Option(name, name)));
  const named = parts.filter((part) => names[part.dataset.key]).length;
  byId("count").textContent = `${named} of ${parts.length} named`;
}

function setName(part, name) {
  names[part.dataset.key] = name.trim();
  store();
  show();
}

function say(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
}

function filter() {
  const wanted = byId("search").value.trim().toLowerCase();
  const unnamedOnly = byId("unnamed-only").checked;
  for (const part of parts) {
    const name = names[part.dataset.key] ?? "";
    const words = `${part.querySelector("h2").textContent} ${name}`.toLowerCase();
    const found = /^\d+$/.test(wanted)
      ? words.split(/\s+/).includes(wanted)
      : words.includes(wanted);
    part.hidden = !found || (unnamedOnly && name !== "");
  }
  byId("none").hidden = parts.some((part) => !part.hidden);
}

function goOn(part, step) {
  const shown = parts.filter((other) => !other.hidden || other === part);
  const next = shown[shown.indexOf(part) + step];
  if (!next) return;
  nameField(next).focus();
  nameField(next).select();
  next.scrollIntoView({ block: "nearest" });
}

function download() {
  const text = JSON.stringify(filled(), null, 2) + "\n";
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
    for (const key of Object.keys(names)) names[key] = "";
    Object.assign(names, loaded);
    const here = new Set(parts.map((part) => part.dataset.key));
    const others = Object.keys(loaded).filter((key) => !here.has(key));
    say(others.length ? `Kept, though not on this page: ${others.join(", ")}.` : "");
    store();
    show();
    filter();
  } catch (error) {
    say(`${file.name} was not loaded: ${error.message}. Expected {"0": "wheel", …}.`);
  }
}

for (const part of parts) {
  const field = nameField(part);
  field.addEventListener("input", () => setName(part, field.value));
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    goOn(part, event.shiftKey ? -1 : 1);
  });
  for (const button of part.querySelectorAll("[data-offer]")) {
    button.addEventListener("click", () => {
      setName(part, button.dataset.offer);
      goOn(part, 1);
    });
  }
}
byId("search").addEventListener("input", filter);
byId("unnamed-only").addEventListener("change", filter);
byId("download").addEventListener("click", download);
byId("load").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) load(file);
  event.target.value = "";
});
show();
