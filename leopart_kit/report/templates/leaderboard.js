// Copies a table as text; where the browser gives no clipboard, the text is left selected.
async function copy(button) {
  const area = document.getElementById(button.dataset.copies);
  area.select();
  let done = false;
  try {
    await navigator.clipboard.writeText(area.value);
    done = true;
  } catch {
    done = document.execCommand("copy");
  }
  button.textContent = done ? "Copied" : "Selected: press Ctrl+C";
}

for (const button of document.querySelectorAll("[data-copies]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
