/** The latest quote of every symbol, painted at most once a frame and ten times a second. */

import { bus } from "./bus.js";
import { arrow, direction, grouped, middle, placeBetween, price, signed, signedPrice, volume } from "./figures.js";

const PAINT_EVERY_MS = 100;
const FLASH_EVERY_MS = 250;

const quotes = new Map();
const dirty = new Set();
const flashedAt = new WeakMap();
let paintedAt = 0;
let scheduled = false;

export const quoteOf = (symbol) => quotes.get(symbol);

const writers = {
  last: (quote) => price(quote.last),
  bid: (quote) => price(quote.bid),
  ask: (quote) => price(quote.ask),
  low: (quote) => price(quote.low),
  high: (quote) => price(quote.high),
  mid: (quote) => { const mid = middle(quote.bid, quote.ask); return mid === null ? "—" : grouped(mid); },
  volume: (quote) => volume(quote.volume),
  change_pct: (quote) => signed(quote.change_pct, "%"),
};

function textSet(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function toneSet(element, quote) {
  const tone = direction(quote.change);
  element.classList.toggle("up", tone === "up");
  element.classList.toggle("down", tone === "down");
}

function changeLine(element, quote) {
  textSet(element.querySelector('[data-part="arrow"]'), arrow(quote.change));
  textSet(element.querySelector('[data-part="change"]'), signedPrice(quote.change));
  textSet(element.querySelector('[data-part="change_pct"]'), signed(quote.change_pct, "%"));
}

function flash(element, quote) {
  const now = performance.now();
  if (!quote.tick || now - (flashedAt.get(element) ?? 0) < FLASH_EVERY_MS || element.offsetParent === null) return;
  flashedAt.set(element, now);
  element.classList.remove("tick-up", "tick-down");
  void element.offsetWidth;
  element.classList.add(`tick-${quote.tick}`);
}

function cellPaint(element, quote) {
  const field = element.dataset.field;
  if ("tone" in element.dataset) toneSet(element, quote);
  if (field === "change-line") return changeLine(element, quote);
  if (field === "range") {
    element.style.setProperty("--at", `${placeBetween(quote.low, quote.last, quote.high)}%`);
    return undefined;
  }
  const text = (element.dataset.prefix ?? "") + writers[field](quote);
  if (element.textContent === text) return undefined;
  element.textContent = text;
  if (element.tagName === "BUTTON") element.disabled = text.endsWith("—");
  if ("flash" in element.dataset) flash(element, quote);
  return undefined;
}

export function symbolPaint(symbol, root = document) {
  const quote = quotes.get(symbol);
  if (!quote) return;
  for (const cell of root.querySelectorAll(`[data-quote="${CSS.escape(symbol)}"]`)) cellPaint(cell, quote);
}

function paint(now) {
  if (now - paintedAt < PAINT_EVERY_MS) {
    requestAnimationFrame(paint);
    return;
  }
  paintedAt = now;
  scheduled = false;
  const symbols = [...dirty];
  dirty.clear();
  for (const symbol of symbols) symbolPaint(symbol);
  document.dispatchEvent(new CustomEvent("quotes-painted", { detail: symbols }));
}

/** Paint every known quote again, after new cells came into the page. */
export function repaint(root = document) {
  for (const symbol of quotes.keys()) symbolPaint(symbol, root);
}

function quoteTake(next) {
  const before = quotes.get(next.symbol);
  const moved = before ? signed(next.last) !== signed(before.last) : false;
  const tick = moved ? (Number(next.last) > Number(before.last) ? "up" : "down") : null;
  quotes.set(next.symbol, { ...before, ...next, tick });
  dirty.add(next.symbol);
}

bus.addEventListener("quotes", ({ detail }) => {
  detail.quotes.forEach(quoteTake);
  if (!scheduled) {
    scheduled = true;
    requestAnimationFrame(paint);
  }
});
