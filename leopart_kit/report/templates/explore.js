// Explore: cosine similarity of one patch to all others, from tokens that lie in the page.
const root = document.getElementById("explore");
const data = JSON.parse(document.getElementById("explore-data").textContent);
const figures = [...root.querySelectorAll(".explored figure")];
const photos = figures.map((figure) => figure.querySelector("img"));
const find = (selector) => root.querySelector(selector);
const MATCHES = 12;
const CROP = 7; // patches on a side of the picture of a match

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// Patches of all images lie one after another; `starts` says where those of an image begin.
const stages = data.stages.map((stage) => {
  const starts = [0];
  for (const [rows, columns] of stage.grids) starts.push(starts.at(-1) + rows * columns);
  return {
    grids: stage.grids,
    starts,
    values: new Int8Array(bytes(stage.values).buffer),
    weights: Float32Array.from(stage.scales, (scale) => scale * scale),
    pca: bytes(stage.pca),
    clusters: stage.clusters && new Int32Array(bytes(stage.clusters).buffer),
    similar: null,
  };
});

function similarities(stage, patch) {
  const { values, weights } = stage;
  const width = weights.length;
  const asked = weights.map((weight, k) => weight * values[patch * width + k]);
  const found = new Float32Array(values.length / width);
  for (let other = 0, at = 0; other < found.length; other++) {
    let sum = 0;
    for (let k = 0; k < width; k++, at++) sum += asked[k] * values[at];
    found[other] = Math.max(-1, Math.min(1, sum));
  }
  found[patch] = 1;
  return found;
}

// From nearly black over violet and orange to pale yellow, so that light stands for alike.
const STOPS = [[12, 8, 38], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];
function heat(value) {
  const place = Math.max(0, Math.min(0.9999, value)) * (STOPS.length - 1);
  const at = Math.floor(place);
  return STOPS[at].map((from, k) => from + (STOPS[at + 1][k] - from) * (place - at));
}

function hexColour(text) {
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}
const clusterColours = data.colours.map(hexColour);

function colourOf(stage, view, patch) {
  if (view === "pca") return [...stage.pca.subarray(3 * patch, 3 * patch + 3), 255];
  if (view === "clusters") {
    const cluster = stage.clusters?.[patch] ?? -1;
    return cluster < 0 ? [0, 0, 0, 0] : [...clusterColours[cluster], 255];
  }
  return stage.similar ? [...heat(stage.similar[patch]), 255] : [0, 0, 0, 0];
}

function paint(field) {
  const stage = stages[field.dataset.stage];
  const image = imageOf(field);
  const [rows, columns] = stage.grids[image];
  const canvas = field.querySelector("canvas");
  if (canvas.width !== columns || canvas.height !== rows) {
    Object.assign(canvas, { width: columns, height: rows });
  }
  const picture = new ImageData(columns, rows);
  const view = find(".view").value;
  for (let k = 0; k < rows * columns; k++) {
    picture.data.set(colourOf(stage, view, stage.starts[image] + k), 4 * k);
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

const fields = [...root.querySelectorAll(".field")];
const imageOf = (field) => Number(field.closest("figure").dataset.image);

// The photograph lies once in the page.
for (const field of fields) {
  if (field.querySelector("img")) continue;
  const copy = field.closest("figure").querySelector("img").cloneNode();
  copy.alt = "";
  field.prepend(copy);
}

// Where a patch is asked for: the image and the place in it as shares of its sides.
let asked = null;
let kept = false;

function patchAt(stage, place) {
  const [rows, columns] = stage.grids[place.image];
  const row = Math.min(rows - 1, Math.floor(place.y * rows));
  const column = Math.min(columns - 1, Math.floor(place.x * columns));
  return { row, column, patch: stage.starts[place.image] + row * columns + column };
}

const clusterName = (cluster) => data.names[cluster] ?? `cluster ${cluster}`;

function neighbours(cluster) {
  return data.edges
    .filter(([a, b]) => a === cluster || b === cluster)
    .map(([a, b, weight]) => [a === cluster ? b : a, weight])
    .sort((one, other) => other[1] - one[1])
    .slice(0, 5)
    .map(([other, weight]) => `${clusterName(other)} (${weight.toFixed(2)})`);
}

function describe(place) {
  const stage = stages.at(-1);
  const { row, column, patch } = patchAt(stage, place);
  const words = [`${figures[place.image].dataset.name}, row ${row}, column ${column}`];
  const cluster = stage.clusters?.[patch] ?? -1;
  if (cluster >= 0) {
    const beside = neighbours(cluster);
    words.push(clusterName(cluster));
    if (beside.length) words.push(`neighbours in the graph: ${beside.join(", ")}`);
  }
  return words.join(" · ");
}

function ask(place) {
  asked = place;
  for (const stage of stages) stage.similar = similarities(stage, patchAt(stage, place).patch);
  for (const field of fields) {
    const ring = field.querySelector(".ring");
    ring.hidden = imageOf(field) !== place.image;
    if (ring.hidden) continue;
    const stage = stages[field.dataset.stage];
    const [rows, columns] = stage.grids[place.image];
    const { row, column } = patchAt(stage, place);
    ring.style.cssText =
      `left:${(100 * column) / columns}%;top:${(100 * row) / rows}%;` +
      `width:${100 / columns}%;height:${100 / rows}%`;
  }
  fields.forEach(paint);
  find(".asked").textContent = describe(place);
  find(".read").textContent = "";
  listMatches();
}

function read(place) {
  const values = stages.map((stage) => stage.similar[patchAt(stage, place).patch].toFixed(2));
  const shown = values.join(" → ").replaceAll("-", "−");
  find(".read").textContent = `similarity ${shown} to ${describe(place)}`;
}

function best() {
  const stage = stages.at(-1);
  const own = patchAt(stage, asked);
  return stage.grids
    .map(([rows, columns], image) => {
      let found = null;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          // What lies right beside a patch is like it and says little.
          const near = Math.max(Math.abs(row - own.row), Math.abs(column - own.column)) <= 2;
          if (image === asked.image && near) continue;
          const value = stage.similar[stage.starts[image] + row * columns + column];
          if (!found || value > found.value) found = { image, row, column, value };
        }
      }
      return found && { ...found, x: (found.column + 0.5) / columns, y: (found.row + 0.5) / rows };
    })
    .filter(Boolean)
    .sort((one, other) => other.value - one.value)
    .slice(0, MATCHES);
}

function cropOf({ image, row, column }) {
  const photo = photos[image];
  const [rows, columns] = stages.at(-1).grids[image];
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 112;
  const [width, height] = [photo.naturalWidth / columns, photo.naturalHeight / rows];
  const inside = (first, all) => Math.max(0, Math.min(all - CROP, first));
  const left = inside(column - (CROP - 1) / 2, columns);
  const top = inside(row - (CROP - 1) / 2, rows);
  const context = canvas.getContext("2d");
  context.drawImage(photo, left * width, top * height, CROP * width, CROP * height, 0, 0, 112, 112);
  context.strokeStyle = "#fff";
  context.lineWidth = 2;
  context.strokeRect(((column - left) * 112) / CROP, ((row - top) * 112) / CROP, 112 / CROP, 112 / CROP);
  return canvas;
}

function listMatches() {
  find(".matches").replaceChildren(
    ...best().map((match) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      const value = match.value.toFixed(2).replace("-", "−");
      button.append(cropOf(match), `${value} ${figures[match.image].dataset.name}`);
      button.addEventListener("click", () => keep(match));
      item.append(button);
      return item;
    }),
  );
}

function keep(place) {
  kept = place !== null;
  find(".let-go").hidden = !kept;
  if (place) ask(place);
}

function placeOf(field, event) {
  const box = field.getBoundingClientRect();
  const inside = (value) => Math.min(0.9999, Math.max(0, value));
  return {
    image: imageOf(field),
    x: inside((event.clientX - box.left) / box.width),
    y: inside((event.clientY - box.top) / box.height),
  };
}

let waiting = null; // one drawing a frame, however fast the pointer is
function later(place) {
  if (!waiting) requestAnimationFrame(() => { (kept ? read : ask)(waiting); waiting = null; });
  waiting = place;
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function move(field, event) {
  if (event.key === "Escape") keep(null);
  const step = MOVES[event.key];
  if (!step) return;
  event.preventDefault();
  const image = imageOf(field);
  const stage = stages[field.dataset.stage];
  const [rows, columns] = stage.grids[image];
  const from = asked?.image === image ? patchAt(stage, asked) : { row: rows >> 1, column: columns >> 1 };
  const column = Math.max(0, Math.min(columns - 1, from.column + step[0]));
  const row = Math.max(0, Math.min(rows - 1, from.row + step[1]));
  keep({ image, x: (column + 0.5) / columns, y: (row + 0.5) / rows });
}

for (const field of fields) {
  field.addEventListener("pointermove", (event) => later(placeOf(field, event)));
  field.addEventListener("click", (event) => keep(placeOf(field, event)));
  field.addEventListener("keydown", (event) => move(field, event));
}
find(".let-go").addEventListener("click", () => keep(null));
find(".view").addEventListener("input", () => fields.forEach(paint));
find(".strength").addEventListener("input", (event) => {
  root.style.setProperty("--strength", event.target.value / 100);
});
const bar = find(".scale-bar canvas");
const ramp = new ImageData(bar.width, 1);
for (let k = 0; k < bar.width; k++) ramp.data.set([...heat(k / bar.width), 255], 4 * k);
bar.getContext("2d").putImageData(ramp, 0, 0);
find(".tools").hidden = false;
// Something to see before anybody points: the middle of the first image.
Promise.all(photos.map((photo) => photo.decode())).then(() => ask({ image: 0, x: 0.5, y: 0.5 }));
