// The whole photograph of a crop, with the part of the crop lit.
const dialog = document.querySelector("dialog");
const inDialog = (selector) => dialog.querySelector(selector);
const CELL = 12; // pixels of the drawing for each patch
const NO_PART = 65535;
const VIEWS = { part: "Part lit", all: "All parts", none: "Photograph" };
const opened = { key: null, crop: null, photo: null, view: "part" };

const decoded = new Map();
function labelsOf(photo) {
  if (!decoded.has(photo)) {
    const bytes = Uint8Array.from(atob(photo.labels), (letter) => letter.charCodeAt(0));
    decoded.set(photo, new Uint16Array(bytes.buffer));
  }
  return decoded.get(photo);
}

function keyAt(photo, row, column) {
  const [rows, columns] = photo.grid;
  if (row < 0 || column < 0 || row >= rows || column >= columns) return undefined;
  const id = labelsOf(photo)[row * columns + column];
  return id === NO_PART ? undefined : facts.ids[id];
}

function draw() {
  const { photo, key, view } = opened;
  const canvas = inDialog("canvas");
  if (!photo) return;
  const [rows, columns] = photo.grid;
  Object.assign(canvas, { width: columns * CELL, height: rows * CELL });
  const context = canvas.getContext("2d");
  const own = new Set(classOf(key));
  const edge = new Path2D();
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const here = keyAt(photo, row, column);
      const [x, y] = [column * CELL, row * CELL];
      if (view === "part" && !own.has(here)) context.fillStyle = "rgb(0 0 0 / .68)";
      else if (view === "all" && here !== undefined) context.fillStyle = `${facts.colours[here]}99`;
      else context.fillStyle = "transparent";
      context.fillRect(x, y, CELL, CELL);
      if (!own.has(here)) continue;
      for (const [down, right] of [[-1, 0], [1, 0], [0, -1], [0, 1]]) {
        if (own.has(keyAt(photo, row + down, column + right))) continue;
        const [left, top] = [x + (right > 0 ? CELL : 0), y + (down > 0 ? CELL : 0)];
        edge.moveTo(left, top);
        edge.lineTo(left + (down ? CELL : 0), top + (right ? CELL : 0));
      }
    }
  }
  if (view === "none") return;
  context.lineCap = "square";
  for (const [colour, width] of [["#000", 5], ["#fff", 3], [facts.colours[key], 1.5]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.stroke(edge);
  }
}

function describeDialog() {
  const { key, crop, photo } = opened;
  inDialog(".enlarged-title").textContent = titleOf(key);
  const field = inDialog("input");
  if (field !== document.activeElement || field.value.trim() !== nameOf(key)) field.value = nameOf(key);
  field.setAttribute("aria-label", `Name of ${titleOf(key)}, enlarged`);
  const name = photo?.name ?? crop.dataset.image;
  inDialog(".sample-name").textContent = name;
  inDialog(".under").textContent = photo ? "" : "the page holds only the crop of this photograph";
  for (const button of dialog.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", button.dataset.view === opened.view);
  }
}

function openCrop(crop) {
  const key = crop.closest(".part").dataset.key;
  const photo = facts.photos[crop.dataset.photo] ?? null;
  Object.assign(opened, { key, crop, photo });
  const picture = inDialog(".enlarged-place img");
  const [width, height] = photo?.size ?? [1, 1];
  picture.src = photo?.uri ?? crop.querySelector("img").src;
  picture.alt = photo ? `Photo ${photo.name}` : crop.querySelector("img").alt;
  inDialog(".stack").style.setProperty("--ratio", width / height);
  inDialog(".stack").style.aspectRatio = `${width}/${height}`;
  inDialog("canvas").hidden = !photo;
  if (!dialog.open) {
    dialog.showModal();
    inDialog(".next").focus(); // not the field: a touch screen would cover itself with its keyboard
  }
  describeDialog();
  draw();
}

function keyUnder(event) {
  const box = inDialog(".stack").getBoundingClientRect();
  const [rows, columns] = opened.photo.grid;
  const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
  const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
  return keyAt(opened.photo, row, column);
}

function stepCrop(number) {
  const crops = shownParts().flatMap((part) => [...part.querySelectorAll(".crop")]);
  const at = crops.indexOf(opened.crop) + number;
  openCrop(crops[(at + crops.length) % crops.length]);
}

// To the first crop of the part before or after, as Enter does between the fields of the page.
function stepPart(number) {
  const shown = shownParts().filter((part) => part.querySelector(".crop"));
  const at = shown.findIndex((part) => part.dataset.key === opened.key) + number;
  if (shown[at]) openCrop(shown[at].querySelector(".crop"));
  inDialog("input").select();
}

inDialog(".choices").append(
  ...Object.entries(VIEWS).map(([view, text]) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    button.dataset.view = view;
    button.setAttribute("aria-pressed", view === opened.view);
    button.addEventListener("click", () => {
      opened.view = view;
      describeDialog();
      draw();
    });
    return button;
  }),
);
inDialog(".previous").addEventListener("click", () => stepCrop(-1));
inDialog(".next").addEventListener("click", () => stepCrop(1));
inDialog(".close").addEventListener("click", () => dialog.close());
inDialog(".stack").addEventListener("pointermove", (event) => {
  if (!opened.photo) return;
  const key = keyUnder(event);
  inDialog(".under").textContent = key ? [titleOf(key), nameOf(key)].filter(Boolean).join(": ") : "no part";
});
inDialog(".stack").addEventListener("click", (event) => {
  const key = opened.photo && keyUnder(event);
  if (!key || !partOf(key)) return;
  opened.key = key;
  describeDialog();
  draw();
});
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "ArrowLeft") stepCrop(-1);
  if (event.key === "ArrowRight") stepCrop(1);
  // A letter begins the name; Space presses the button it is on.
  if (event.key.length === 1 && event.key !== " ") inDialog("input").select();
});
dialog.addEventListener("close", () => {
  inDialog("input").blur();
  const part = partOf(opened.key);
  (part.contains(opened.crop) ? opened.crop : part.querySelector(".crop")).focus();
});
