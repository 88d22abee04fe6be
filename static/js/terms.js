/** Which fields the ticket has for its type, side and exits, and first values for those nobody has filled in. */

import { apart, plain, units } from "./figures.js";
import { quoteOf } from "./store.js";

const AT_ONCE = ["LIMIT", "MARKET"];
const WAITING = ["DAY", "GTC"];
/** First distances from the market, in tenths of a per cent. */
const STOP_AWAY = 10;
const STOP_LIMIT_AWAY = 5;
const TRAIL_AWAY = 20;
const EXIT_AWAY = 50;
const TRAIL_PERCENT = "2";
const PERCENT_STEP = "0.1";

const buys = (form) => form.elements.side.value === "BUY";
const typeOf = (form) => form.elements.order_type.value;

function partShow(part, shown) {
  part.hidden = !shown;
  for (const input of part.querySelectorAll("input")) input.disabled = !shown;
}

/** Offer only what can be chosen; what was chosen and cannot be any more falls back. */
function optionsOffer(select, isOffered, fallback) {
  for (const option of select.options) option.hidden = option.disabled = !isOffered(option);
  if (select.selectedOptions[0]?.disabled) select.value = fallback(select.value);
}

function exitsShow(form) {
  const { exits } = form.elements;
  const offered = typeOf(form) === "LIMIT" || (typeOf(form) === "MARKET" && buys(form));
  form.querySelector("[data-exits-offer]").hidden = !offered;
  form.querySelector("[data-no-exits]").hidden = offered;
  const side = form.elements.side.value;
  optionsOffer(exits, (one) => one.value === "NONE" || (offered && one.dataset.sides.includes(side)),
    (before) => (offered && before === "BOTH" ? "STOP_LOSS" : "NONE"));
  for (const part of form.querySelectorAll("[data-exit]")) {
    partShow(part, exits.value === "BOTH" || exits.value === part.dataset.exit);
  }
  document.getElementById("exit-fields").hidden = exits.value === "NONE";
}

function timesShow(form) {
  const waits = !AT_ONCE.includes(typeOf(form)) || form.elements.exits.value !== "NONE";
  optionsOffer(form.elements.time_in_force, (one) => !waits || WAITING.includes(one.value), () => "DAY");
}

function trailShow(form) {
  const percent = form.elements.trail_kind.value === "PERCENT";
  const { trail } = form.elements;
  trail.closest(".box").querySelector("[data-unit]").textContent = percent ? "%" : "USD";
  if (percent) trail.dataset.stepSize = PERCENT_STEP;
  else delete trail.dataset.stepSize;
}

/** Bring the fields in line with what is chosen, and suggest anew what was only suggested. */
export function termsShow(form) {
  if (!form) return;
  const type = typeOf(form);
  for (const part of form.querySelectorAll("[data-types]")) partShow(part, part.dataset.types.split(" ").includes(type));
  exitsShow(form);
  timesShow(form);
  trailShow(form);
  for (const chip of form.querySelectorAll("[data-away]")) chip.textContent = `${buys(form) ? "+" : "−"}${chip.dataset.away}%`;
  termsSuggest(form, true);
}

/** The price some tenths of a per cent from the market, on the side where a stop of this ticket lies. */
function stopAway(form, quote, tenths) {
  return apart(buys(form) ? quote.ask ?? quote.last : quote.bid ?? quote.last, buys(form) ? tenths : -tenths, form.dataset.tick);
}

function limitOf(form, quote) {
  if (typeOf(form) === "LIMIT") {
    if (form.elements.exits.value !== "NONE" && !buys(form)) return apart(quote.ask ?? quote.last, EXIT_AWAY, form.dataset.tick);
    return apart(buys(form) ? quote.bid : quote.ask, 0, form.dataset.tick);
  }
  return apart(form.elements.stop_price.value, buys(form) ? STOP_LIMIT_AWAY : -STOP_LIMIT_AWAY, form.dataset.tick);
}

function trailOf(form, quote) {
  if (form.elements.trail_kind.value === "PERCENT") return TRAIL_PERCENT;
  const [now, off] = [units(quote.last), units(apart(quote.last, -TRAIL_AWAY, form.dataset.tick))];
  return now === null || off === null ? null : plain(now - off);
}

/** What a position would be left at: the limit of the ticket, or the market. */
function exitAway(form, quote, tenths) {
  const base = buys(form) && typeOf(form) === "LIMIT" ? form.elements.limit_price.value : quote.bid ?? quote.last;
  return apart(base, tenths, form.dataset.tick);
}

const FIRST = [
  ["stop_price", (form, quote) => stopAway(form, quote, Number(form.elements.stop_price.dataset.chosenAway ?? STOP_AWAY))],
  ["limit_price", limitOf],
  ["trail", trailOf],
  ["take_profit", (form, quote) => exitAway(form, quote, EXIT_AWAY)],
  ["stop_loss", (form, quote) => exitAway(form, quote, -EXIT_AWAY)],
];

/** Fill in what nobody has: once there is a market, and `anew` when the choice of fields has changed. */
export function termsSuggest(form, anew = false) {
  const quote = quoteOf(form?.elements.symbol.value);
  if (!quote) return;
  for (const [name, valueOf] of FIRST) {
    const input = form.elements[name];
    const suggested = input.value === input.dataset.suggested;
    if (input.disabled || (input.value && !(anew && suggested)) || (!input.value && input.dataset.touched)) continue;
    const value = valueOf(form, quote);
    if (value === null || value === input.value) continue;
    input.dataset.suggested = value;
    input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

/** Put a field so many per cent from the market; a change of side works it out anew. */
export function awaySet(form, input, percent) {
  const quote = quoteOf(form.elements.symbol.value);
  const value = quote ? stopAway(form, quote, percent * 10) : null;
  if (value === null) return;
  input.dataset.suggested = value;
  input.dataset.chosenAway = percent * 10;
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  termsSuggest(form, true);
}
