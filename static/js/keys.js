/** Keyboard shortcuts. No key sends an order; single letters can be switched off. */

import { intervalChoose, tableToggle } from "./chart.js";
import { dialogOpen, sheetOpen } from "./dialogs.js";
import { reviewOpen } from "./review.js";
import { sideSet, ticket } from "./ticket.js";

const PAGES = { t: "/", p: "/portfolio", o: "/orders", a: "/activity" };
const INTERVALS = ["1m", "5m", "15m", "1h", "1D", "1W"];
const CHORD_MS = 1200;
let chordUntil = 0;

/** Go to the first of these fields that the ticket has now. */
function fieldFocus(...names) {
  const field = names.map((name) => ticket()?.elements[name]).find((one) => one && !one.disabled);
  if (!field) return;
  sheetOpen();
  field.focus();
  field.select();
}

const LETTERS = {
  b: () => { sideSet("BUY"); sheetOpen(); },
  s: () => { sideSet("SELL"); sheetOpen(); },
  q: () => fieldFocus("quantity"),
  p: () => fieldFocus("limit_price", "stop_price", "trail"),
  t: () => tableToggle(),
  g: () => { chordUntil = performance.now() + CHORD_MS; },
};

function watchMove(step) {
  const rows = [...document.querySelectorAll("#watch-list .watch-row")];
  const now = rows.findIndex((row) => row === document.activeElement);
  const from = now < 0 ? rows.findIndex((row) => row.getAttribute("aria-current")) : now;
  rows[(from + step + rows.length) % rows.length]?.focus();
}

function letterPress(key) {
  if (performance.now() < chordUntil) {
    chordUntil = 0;
    if (PAGES[key]) location.assign(PAGES[key]);
    return true;
  }
  if (INTERVALS[Number(key) - 1] && document.querySelector("ob-chart")) {
    intervalChoose(INTERVALS[Number(key) - 1]);
    return true;
  }
  if (!LETTERS[key] || (!ticket() && key !== "g")) return false;
  LETTERS[key]();
  return true;
}

function pagePress(event) {
  if (event.key === "?") return dialogOpen("shortcuts-dialog");
  if (event.key === "/") {
    event.preventDefault();
    return dialogOpen("search-dialog");
  }
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (event.target === document.body || event.target.closest(".watch-row"))) {
    event.preventDefault();
    return watchMove(event.key === "ArrowDown" ? 1 : -1);
  }
  if (localStorage.getItem("letters") !== "off" && letterPress(event.key.toLowerCase())) event.preventDefault();
  return undefined;
}

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.defaultPrevented) return;
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key === "Enter" && !event.repeat) {
    event.preventDefault();
    reviewOpen();
  } else if (command && event.key.toLowerCase() === "k") {
    event.preventDefault();
    dialogOpen("search-dialog");
  } else if (!command && !event.altKey && !event.target.closest?.("input, select, textarea")) {
    pagePress(event);
  }
});
