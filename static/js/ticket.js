/** The order ticket: sides, types, steppers, quick values. What it costs is always asked of the server. */

import { bus } from "./bus.js";
import { radioMark } from "./display.js";
import { apart, middle, plain, units } from "./figures.js";
import { quoteOf } from "./store.js";
import { awaySet, termsShow, termsSuggest } from "./terms.js";

const QUANTITY_MAX = 10000000n;
export const ticket = () => document.getElementById("ticket");

export const ticketChanged = () => ticket()?.dispatchEvent(new Event("ticket-changed"));

export function sideSet(side) {
  const form = ticket();
  if (!form) return;
  form.dataset.side = side;
  form.elements.side.value = side;
  radioMark(form.querySelector('[data-radio="side"]'), side);
  for (const part of form.querySelectorAll("[data-side-only]")) part.hidden = part.dataset.sideOnly !== side;
  reviewLabel();
  termsChanged();
}

function choiceSet(name, value) {
  const form = ticket();
  form.elements[name].value = value;
  radioMark(form.querySelector(`[data-radio="${name}"]`), value);
  termsChanged();
}

export const typeSet = (type) => choiceSet("order_type", type);

/** The fields follow the choice; what the order costs is asked again. */
export function termsChanged() {
  termsShow(ticket());
  ticketChanged();
}

/** The button says what it does, or why it cannot. */
export function reviewLabel() {
  const button = document.getElementById("review");
  if (!button) return;
  const live = bus.state === "live" || bus.state === "quiet";
  button.disabled = !live;
  button.textContent = live ? `Review ${ticket().dataset.side.toLowerCase()} order` : "Waiting for live prices";
}

export function fieldSet(input, value) {
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

function quantityStep(input, steps) {
  const digits = input.value.replace(/[\s,.']/g, "");
  const now = /^\d+$/.test(digits) ? BigInt(digits) : 0n;
  let next = now + BigInt(steps);
  if (next < 1n) next = 1n;
  if (next > QUANTITY_MAX) next = QUANTITY_MAX;
  fieldSet(input, next.toString());
}

function priceStep(input, steps) {
  const tick = units(input.dataset.stepSize ?? input.form.dataset.tick) ?? 100n;
  const typed = input.value.trim();
  const now = units(typed) ?? units(typed.replace(",", ".")) ?? units(quoteOf(ticket()?.elements.symbol.value)?.last) ?? 0n;
  let next = now + tick * BigInt(steps);
  if (next < tick) next = tick;
  fieldSet(input, plain(next));
}

export function fieldStep(input, steps) {
  if (input.inputMode === "numeric") quantityStep(input, steps);
  else priceStep(input, steps);
}

function priceFill(which) {
  const form = ticket();
  const quote = quoteOf(form.elements.symbol.value);
  if (!quote) return;
  const value = apart(which === "mid" ? middle(quote.bid, quote.ask) : quote[which], 0, form.dataset.tick);
  if (value !== null) fieldSet(form.elements.limit_price, value);
}

export function fieldErrorShow(field, text) {
  for (const input of ticket().querySelectorAll("input[id], select[id]")) {
    const note = document.getElementById(`${input.id}-error`);
    if (!note) continue;
    const here = input.name === field && Boolean(text);
    note.hidden = !here;
    note.textContent = here ? text : "";
    input.closest(".box")?.classList.toggle("invalid", here);
    input.setAttribute("aria-invalid", String(here));
  }
}

function previewRead() {
  if (!ticket()) return;
  const refusal = document.querySelector("#preview .refusal");
  fieldErrorShow(refusal?.dataset.field, refusal?.querySelector("span")?.firstChild?.nodeValue);
}

export function closePosition(symbol, quantity) {
  const held = BigInt(quantity);
  ticket().elements.exits.value = "NONE";
  sideSet(held > 0n ? "SELL" : "BUY");
  typeSet("MARKET");
  fieldSet(ticket().elements.quantity, (held < 0n ? -held : held).toString());
  document.dispatchEvent(new CustomEvent("ticket-open"));
}

/** Offer a position at a better price, with a stop-loss in case the price goes the other way. */
export function exitPosition(symbol, quantity) {
  const form = ticket();
  form.elements.limit_price.value = "";
  sideSet("SELL");
  form.elements.exits.value = "STOP_LOSS";
  typeSet("LIMIT");
  fieldSet(form.elements.quantity, quantity);
  document.dispatchEvent(new CustomEvent("ticket-open"));
}

document.addEventListener("input", (event) => {
  if (!event.target.closest?.("#ticket")) return;
  if (event.isTrusted) event.target.dataset.touched = "1";
  ticketChanged();
});

document.addEventListener("change", (event) => {
  if (event.target.matches?.("#ticket select")) termsChanged();
});

document.addEventListener("click", (event) => {
  const target = event.target.closest("button");
  if (!target) return;
  const radio = target.closest("[data-radio]");
  if (radio?.dataset.radio === "side") sideSet(target.value);
  else if (radio) choiceSet(radio.dataset.radio, target.value);
  if (target.dataset.step) fieldStep(document.getElementById(target.dataset.for), Number(target.dataset.step));
  if (target.dataset.fill) priceFill(target.dataset.fill);
  if (target.dataset.away) awaySet(ticket(), document.getElementById(target.dataset.for), Number(target.dataset.away));
  if (target.dataset.quantity && target.closest("#ticket")) fieldSet(ticket().elements.quantity, target.dataset.quantity);
});

document.addEventListener("keydown", (event) => {
  if (!["ArrowUp", "ArrowDown"].includes(event.key) || !event.target.matches?.(".box input[inputmode]")) return;
  event.preventDefault();
  fieldStep(event.target, (event.key === "ArrowUp" ? 1 : -1) * (event.shiftKey ? 10 : 1));
});

document.addEventListener("ticket-price", ({ detail }) => {
  if (ticket().elements.limit_price.disabled) typeSet("LIMIT");
  const exact = units(detail);
  if (exact !== null) fieldSet(ticket().elements.limit_price, plain(exact));
});

document.addEventListener("submit", (event) => {
  if (event.target.id === "ticket") event.preventDefault();
});

document.addEventListener("htmx:after:swap", previewRead);
document.addEventListener("quotes-painted", () => termsSuggest(ticket()));
bus.addEventListener("feed", reviewLabel);
