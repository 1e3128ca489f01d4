// On paper a page is light, and everything on it is open.
const paper = window.matchMedia("print");
let before = null;

function open_for_print() {
  const theme = document.documentElement.dataset.theme;
  const closed = [...document.querySelectorAll("details:not([open])")];
  const hidden = [...document.querySelectorAll(".toggle-hidden")];
  const lazy = document.querySelectorAll('img[loading="lazy"]');
  closed.forEach((element) => (element.open = true));
  hidden.forEach((element) => element.classList.remove("toggle-hidden"));
  lazy.forEach((image) => (image.loading = "eager"));
  document.documentElement.dataset.theme = "light";
  return { theme, closed, hidden };
}

function close_again({ theme, closed, hidden }) {
  closed.forEach((element) => (element.open = false));
  hidden.forEach((element) => element.classList.add("toggle-hidden"));
  document.documentElement.dataset.theme = theme;
}

paper.addEventListener("change", () => {
  if (paper.matches) {
    before = open_for_print();
  } else if (before) {
    close_again(before);
    before = null;
  }
});

// What the theme leaves to those who see: names of the switches that unfold a part of the contents,
// and a way to scroll wide tables and formulas by the keyboard.
const WIDE = ".pst-scrollable-table-container, .cell_output .output, mjx-container[display]";

function name_switches() {
  for (const toggle of document.querySelectorAll(".toctree-toggle")) {
    const part = toggle.closest("li").querySelector("a").textContent.trim();
    toggle.closest("summary").setAttribute("aria-label", `Pages of ${part}`);
  }
}

function let_scroll() {
  for (const element of document.querySelectorAll(WIDE)) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  }
}

document.addEventListener("DOMContentLoaded", name_switches);
window.addEventListener("load", let_scroll);
window.addEventListener("resize", let_scroll);
