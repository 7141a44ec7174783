// Names by key as in names.json (an empty text: a name was taken away), merges (for each part that
// was merged the first of its class), and pairs that are no class. A state is never changed; undo
// goes back to the one before.
const facts = JSON.parse(document.getElementById("naming-facts").textContent);
const STORE_KEY = "leopart-kit names " + document.body.dataset.model;
const HASH_START = "#names=";
const keys = [...document.querySelectorAll(".part")].map((part) => part.dataset.key);

const numberOf = (key) => Number(key.replace(/\D/g, ""));
const defaultName = (key) => (/^\d+$/.test(key) ? "part_" + key.padStart(3, "0") : key);
const keyOfDefault = new Map(keys.map((key) => [defaultName(key), key]));

const nameOf = (key) => state.names[key] ?? "";
const headOf = (key) => state.merged[key] ?? key;

function membersOf(key) {
  return keys.filter((other) => headOf(other) === headOf(key));
}

// Parts of one name are one class, merged or not.
function classOf(key) {
  const name = nameOf(key);
  return name ? keys.filter((other) => nameOf(other) === name) : membersOf(key);
}

// Merged parts without a name of their own bear the default name of the lowest in names.json.
function unmergedNames(names) {
  const found = { names: { ...names }, merged: {}, declined: [] };
  for (const key of keys) {
    const head = keyOfDefault.get(names[key]);
    if (head === undefined || (names[head] && names[head] !== names[key])) continue;
    found.names[key] = "";
    found.merged[key] = head;
  }
  return found;
}

function exportedNames() {
  const names = Object.fromEntries(Object.entries(state.names).filter(([, name]) => name));
  for (const key of keys) {
    const members = membersOf(key);
    if (names[key] || members.length < 2) continue;
    const lowest = members.reduce((a, b) => (numberOf(b) < numberOf(a) ? b : a));
    names[key] = defaultName(lowest);
  }
  return names;
}

// Some browsers give pages from the file system no storage: the address keeps the names then.
function readStored() {
  for (const read of [() => localStorage.getItem(STORE_KEY), readHash]) {
    try {
      const stored = JSON.parse(read());
      // Pages of earlier versions kept names alone.
      if (stored) return stored.names ? stored : { names: stored, merged: {}, declined: [] };
    } catch {
      continue;
    }
  }
  return { names: {}, merged: {}, declined: [] };
}

function readHash() {
  if (!location.hash.startsWith(HASH_START)) return null;
  const [key, stored] = JSON.parse(decodeURIComponent(location.hash.slice(HASH_START.length)));
  return key === STORE_KEY ? JSON.stringify(stored) : null;
}

function store() {
  try {
    localStorage.setItem(STORE_KEY, JSON.stringify(state));
  } catch {
    location.replace(HASH_START + encodeURIComponent(JSON.stringify([STORE_KEY, state])));
  }
}

function firstState() {
  const given = unmergedNames(JSON.parse(document.body.dataset.names));
  const stored = readStored();
  const untouched = Object.entries(given.merged).filter(([key]) => !(key in stored.names));
  return {
    names: { ...given.names, ...stored.names },
    merged: { ...Object.fromEntries(untouched), ...stored.merged },
    declined: stored.declined,
  };
}

let state = firstState();
const past = [];
const future = [];
let lastField = null; // letters typed into one field, one after another, are one step

function act(next, what, field = null) {
  if (!field || field !== lastField) past.push({ state, what });
  lastField = field;
  future.length = 0;
  state = next;
  store();
}

// Goes to the last state of one list, and leaves the present one in the other.
function goBack(from, to) {
  const step = from.pop();
  if (!step) return null;
  to.push({ state, what: step.what });
  state = step.state;
  lastField = null;
  store();
  return step.what;
}

function withName(key, name) {
  const given = Object.fromEntries(membersOf(key).map((member) => [member, name.trim()]));
  return { ...state, names: { ...state.names, ...given } };
}

// The larger of the two gives the class its name, where it has one.
function withMerge(one, other) {
  const [first, second] = keys.indexOf(one) < keys.indexOf(other) ? [one, other] : [other, one];
  const name = nameOf(first) || nameOf(second);
  const all = [...membersOf(first), ...membersOf(second)];
  return {
    ...state,
    names: { ...state.names, ...Object.fromEntries(all.map((key) => [key, name])) },
    merged: { ...state.merged, ...Object.fromEntries(all.map((key) => [key, headOf(first)])) },
  };
}

function withoutMerge(key) {
  const merged = { ...state.merged };
  const others = membersOf(key).filter((other) => other !== key);
  delete merged[key];
  for (const other of others) merged[other] = others[0];
  if (others.length === 1) delete merged[others[0]];
  return { ...state, merged, names: { ...state.names, [key]: "" } };
}

// Pairs nobody has decided on: of two classes, not both named, and declined in no other guise.
function openPairs() {
  const heads = new Map(keys.map((key) => [key, classOf(key)[0]]));
  const pairOf = (a, b) => [heads.get(a), heads.get(b)].sort().join(" ");
  const decided = new Set(state.declined.map(([a, b]) => pairOf(a, b)));
  return facts.alike_pairs.filter(([a, b]) => {
    if (heads.get(a) === heads.get(b) || (nameOf(a) && nameOf(b))) return false;
    const pair = pairOf(a, b);
    const open = !decided.has(pair);
    decided.add(pair); // the most alike of two classes speak for them
    return open;
  });
}

const bitFields = new Map(
  Object.entries(facts.images).map(([key, text]) => [
    key,
    Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)),
  ]),
);

// Share of the patches, and number of images, that parts have together.
function extentOf(parts) {
  const union = new Uint8Array(Math.ceil(facts.num_images / 8));
  for (const key of parts) bitFields.get(key).forEach((bits, at) => (union[at] |= bits));
  let images = 0;
  for (let bits of union) for (; bits; bits &= bits - 1) images++;
  return { share: parts.reduce((sum, key) => sum + facts.shares[key], 0), images };
}
