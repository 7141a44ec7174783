// Pictures: opacity, outlines, one cursor in all panels of an image, order, filter, enlarging.
const root = document.getElementById("pictures");
const colours = JSON.parse(document.getElementById("picture-colours").textContent);
const figures = [...root.querySelectorAll(".sample")];
const dialog = root.querySelector("dialog");
const control = (id) => root.querySelector(`#${id}`);
const STEP = 0.02; // of the side, moved by an arrow key

const nameOfColour = {
  classes: new Map(colours.classes.map((colour, id) => [colour, colours.class_names[id]])),
  clusters: new Map(colours.clusters.map((colour, id) => [colour, `cluster ${id}`])),
};

// The photograph lies once in the page; the panels of labels get copies beneath them.
for (const figure of figures) {
  const photo = figure.querySelector("img.photo");
  for (const labels of figure.querySelectorAll("img:not(.photo)")) {
    const under = photo.cloneNode();
    under.alt = "";
    under.classList.add("beneath");
    labels.before(under);
  }
}

function pixelsOf(image) {
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

const pixelCache = new WeakMap();
function labelPixels(image) {
  if (!pixelCache.has(image)) pixelCache.set(image, pixelsOf(image));
  return pixelCache.get(image);
}

function nameAt(image, kind, x, y) {
  const { data, width, height } = labelPixels(image);
  const column = Math.min(width - 1, Math.floor(x * width));
  const at = 4 * (Math.min(height - 1, Math.floor(y * height)) * width + column);
  const hex = [...data.slice(at, at + 3)].map((v) => v.toString(16).padStart(2, "0")).join("");
  return nameOfColour[kind].get(`#${hex}`) ?? "none";
}

function outlineOf(image) {
  const { data, width, height } = labelPixels(image);
  const colour = new Uint32Array(data.buffer);
  const line = new ImageData(width, height);
  const drawn = new Uint32Array(line.data.buffer);
  const reach = 2;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const left = at - Math.min(reach, x);
      const right = at + Math.min(reach, width - 1 - x);
      const up = at - width * Math.min(reach, y);
      const down = at + width * Math.min(reach, height - 1 - y);
      const own = colour[at];
      if ([left, right, up, down].some((other) => colour[other] !== own)) drawn[at] = own;
    }
  }
  const canvas = document.createElement("canvas");
  canvas.className = "outline";
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(line, 0, 0);
  return canvas;
}

function addOutline(stack) {
  const labels = stack.querySelector("img.classes, img.clusters");
  if (labels && !stack.querySelector("canvas")) labels.after(outlineOf(labels));
}

function draw() {
  const how = control("drawn").value;
  root.dataset.drawn = how;
  if (how === "filled") return;
  for (const stack of root.querySelectorAll(".stack")) addOutline(stack);
}

function setOpacity(value) {
  root.style.setProperty("--opacity", value / 100);
  for (const slider of root.querySelectorAll(".opacity")) slider.value = value;
}

// The same place in every panel of an image, with what each of them has there.
function point(figure, x, y) {
  const found = [];
  for (const stack of figure.querySelectorAll(".stack")) {
    stack.classList.add("pointed");
    stack.style.setProperty("--x", `${100 * x}%`);
    stack.style.setProperty("--y", `${100 * y}%`);
    const labels = stack.querySelector("img.classes, img.clusters");
    if (!labels) continue;
    found.push(`${stack.dataset.caption.toLowerCase()}: ${nameAt(labels, stack.dataset.kind, x, y)}`);
  }
  figure.place = { x, y };
  return found.join(", ");
}

function unpoint(figure) {
  for (const stack of figure.querySelectorAll(".pointed")) stack.classList.remove("pointed");
}

function placeIn(stack, event) {
  const box = stack.getBoundingClientRect();
  const inside = (value) => Math.min(0.9999, Math.max(0, value));
  return [
    inside((event.clientX - box.left) / box.width),
    inside((event.clientY - box.top) / box.height),
  ];
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function watch(stack, figure, output) {
  stack.addEventListener("pointermove", (event) => {
    output.textContent = point(figure, ...placeIn(stack, event));
  });
  stack.addEventListener("pointerleave", () => unpoint(figure));
  stack.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move || dialog.open) return;
    event.preventDefault();
    const { x, y } = figure.place ?? { x: 0.5, y: 0.5 };
    const moved = [x + move[0] * STEP, y + move[1] * STEP];
    output.textContent = point(figure, ...moved.map((v) => Math.min(0.9999, Math.max(0, v))));
  });
}

function score(figure, chosen) {
  if (!chosen) return JSON.parse(figure.dataset.mious);
  return JSON.parse(figure.dataset.ious).map((found) => found[chosen]);
}

const LAST = 1e9; // an image without a figure comes after all others
const ranks = {
  set: () => 0,
  worst: (found) => found.at(-1) ?? LAST,
  best: (found) => -(found.at(-1) ?? -LAST),
  gained: (found) => found.at(0) - found.at(-1) || 0,
  lost: (found) => found.at(-1) - found.at(0) || 0,
};

function arrange() {
  const wanted = control("find").value.trim().toLowerCase();
  const chosen = control("class")?.value ?? "";
  const rank = ranks[control("order")?.value ?? "set"];
  for (const figure of figures) {
    const has = !chosen || score(figure, chosen).some((value) => value !== undefined);
    figure.hidden = !has || !figure.dataset.name.toLowerCase().includes(wanted);
  }
  const ordered = [...figures].sort((a, b) => rank(score(a, chosen)) - rank(score(b, chosen)));
  root.querySelector(".samples").append(...ordered);
  const shown = figures.filter((figure) => !figure.hidden).length;
  root.querySelector(".count").textContent = `${shown} of ${figures.length} images`;
  root.querySelector(".none").hidden = shown > 0;
}

const enlarged = { figure: null, caption: "" };
function enlarge(figure, caption) {
  Object.assign(enlarged, { figure, caption });
  const stacks = [...figure.querySelectorAll(".stack")];
  const source = stacks.find((stack) => stack.dataset.caption === caption) ?? stacks[0];
  if (control("drawn").value !== "filled") addOutline(source);
  const stack = source.cloneNode(true);
  const canvas = source.querySelector("canvas");
  if (canvas) stack.querySelector("canvas").getContext("2d").drawImage(canvas, 0, 0);
  const [width, height] = ["width", "height"].map((side) => Number(stack.querySelector("img")[side]));
  stack.style.setProperty("--ratio", width / height);
  stack.removeAttribute("aria-label");
  stack.disabled = false;
  const output = dialog.querySelector("output");
  output.textContent = "";
  stack.addEventListener("pointermove", (event) => {
    output.textContent = point(figure, ...placeIn(stack, event));
  });
  dialog.querySelector(".enlarged-place").replaceChildren(stack);
  dialog.querySelector(".sample-name").textContent = figure.dataset.name;
  dialog.querySelector(".choices").replaceChildren(
    ...stacks.map((other) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = other.dataset.caption;
      button.setAttribute("aria-pressed", other === source);
      button.addEventListener("click", () => enlarge(figure, other.dataset.caption));
      return button;
    }),
  );
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("[aria-pressed=true]").focus();
}

function step(number) {
  const shown = [...root.querySelectorAll(".sample")].filter((figure) => !figure.hidden);
  const at = shown.indexOf(enlarged.figure) + number;
  enlarge(shown[(at + shown.length) % shown.length], enlarged.caption);
}

for (const figure of figures) {
  for (const stack of figure.querySelectorAll(".stack")) {
    watch(stack, figure, figure.querySelector("output"));
    stack.addEventListener("click", () => enlarge(figure, stack.dataset.caption));
  }
}
for (const slider of root.querySelectorAll(".opacity")) {
  slider.addEventListener("input", () => setOpacity(slider.value));
}
for (const id of ["find", "class", "order"]) control(id)?.addEventListener("input", arrange);
control("drawn").addEventListener("input", draw);
dialog.querySelector(".previous").addEventListener("click", () => step(-1));
dialog.querySelector(".next").addEventListener("click", () => step(1));
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => figures.forEach(unpoint));
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.target.matches("input")) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
root.querySelector(".tools").hidden = false;
setOpacity(60);
draw();
arrange();
