/** The terminal's entry: joins the parts and keeps the subscription in step with the page. */

import "./display.js";
import "./roving.js";
import "./tabs.js";
import "./chart.js";
import "./ladder.js";
import "./tape.js";
import "./feed.js";
import "./phase.js";
import "./account.js";
import "./search.js";
import "./keys.js";
import { bus } from "./bus.js";
import { sheetOpen, viewSet } from "./dialogs.js";
import { price, signed } from "./figures.js";
import { quoteOf, repaint } from "./store.js";
import { closePosition, exitPosition, reviewLabel, sideSet, termsChanged, ticket } from "./ticket.js";

const symbolNow = () => document.getElementById("workspace")?.dataset.symbol ?? null;

function subscribe() {
  const shown = [...document.querySelectorAll("[data-quote]")].map((cell) => cell.dataset.quote);
  bus.subscribe([...new Set(shown)].sort(), symbolNow());
}

function titleSet() {
  const quote = quoteOf(symbolNow());
  if (quote?.last) document.title = `${quote.symbol} ${price(quote.last)} ${signed(quote.change_pct, "%")} · Openbell`;
}

function workspaceEntered() {
  for (const row of document.querySelectorAll("[data-watch]")) {
    if (row.dataset.watch === symbolNow()) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
  viewSet("trade");
  reviewLabel();
  termsChanged();
  subscribe();
}

document.addEventListener("htmx:after:swap", (event) => {
  repaint();
  if (event.detail.ctx?.target?.id === "workspace") workspaceEntered();
});

document.addEventListener("click", (event) => {
  const trade = event.target.closest("[data-ticket-side]");
  if (trade) {
    sideSet(trade.dataset.ticketSide);
    sheetOpen();
  }
  const { closePosition: closed, exitPosition: left, quantity } = event.target.closest("[data-close-position], [data-exit-position]")?.dataset ?? {};
  if (closed) positionAct("close", closed, quantity);
  if (left) positionAct("exit", left, quantity);
});

const POSITION_ACTS = { close: closePosition, exit: exitPosition };

function positionAct(act, symbol, quantity) {
  if (symbol === symbolNow() && ticket()) POSITION_ACTS[act](symbol, quantity);
  else location.assign(`/trade/${encodeURIComponent(symbol)}?${act}=${quantity}`);
}

/** Another page sends a position here to be closed or left. */
function positionAsked() {
  for (const [act, fill] of Object.entries(POSITION_ACTS)) {
    const quantity = new URLSearchParams(location.search).get(act);
    if (!ticket() || !/^-?\d{1,9}$/.test(quantity ?? "")) continue;
    fill(symbolNow(), quantity);
    history.replaceState(null, "", location.pathname);
  }
}

document.addEventListener("quotes-painted", ({ detail }) => {
  if (detail.includes(symbolNow())) titleSet();
});
bus.addEventListener("signed-out", () => document.body.dispatchEvent(new Event("session-expired")));

subscribe();
bus.start();
if (ticket()) termsChanged();
positionAsked();
