/** The terminal's entry: joins the parts and keeps the subscription in step with the page. */

import "./display.js";
import "./roving.js";
import "./tabs.js";
import "./chart.js";
import "./ladder.js";
import "./tape.js";
import "./feed.js";
import "./account.js";
import "./search.js";
import "./keys.js";
import { bus } from "./bus.js";
import { sheetOpen, viewSet } from "./dialogs.js";
import { price, signed } from "./figures.js";
import { quoteOf, repaint } from "./store.js";
import { closePosition, reviewLabel, sideSet, ticket, ticketChanged } from "./ticket.js";

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
  const close = event.target.closest("[data-close-position]");
  if (close) positionClose(close.dataset.closePosition, close.dataset.quantity);
});

function positionClose(symbol, quantity) {
  if (symbol === symbolNow() && ticket()) closePosition(symbol, quantity);
  else location.assign(`/trade/${encodeURIComponent(symbol)}?close=${quantity}`);
}

function closeAsked() {
  const quantity = new URLSearchParams(location.search).get("close");
  if (!ticket() || !/^-?\d{1,9}$/.test(quantity ?? "")) return;
  closePosition(symbolNow(), quantity);
  history.replaceState(null, "", location.pathname);
}

document.addEventListener("quotes-painted", ({ detail }) => {
  if (detail.includes(symbolNow())) titleSet();
});
bus.addEventListener("signed-out", () => document.body.dispatchEvent(new Event("session-expired")));

subscribe();
bus.start();
closeAsked();
ticketChanged();
