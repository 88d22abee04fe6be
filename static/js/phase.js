/** What the book of the page does now: auction, pause, limit state; and what an auction would bring. */

import { bus } from "./bus.js";
import { count, price } from "./figures.js";

/** Why a symbol is halted is the server's to say. */
const PHASES = {
  PRE_OPEN: "Before the open. Orders are collected for the opening auction.",
  OPENING_AUCTION: "Opening auction. Orders are collected and trade at one price at the open.",
  PAUSED: "Trading is paused: the price stayed at its band. It resumes through an auction.",
  CLOSING_AUCTION: "Closing auction. Orders are collected and trade at one price at the close.",
  CLOSED: "The market is closed. Orders wait for the next session.",
};
const MODES = {
  REDUCE_ONLY: "Only orders that reduce a position are accepted.",
  CANCEL_ONLY: "Only cancellations are accepted.",
};
let before = null;

function limitText({ limit, bands }) {
  if (!limit || !bands) return "";
  return limit === "BUY" ? `Buyers wait at the upper price band, ${price(bands[1])}.` : `Sellers wait at the lower price band, ${price(bands[0])}.`;
}

function auctionText(auction) {
  if (!auction) return "";
  const more = Number(auction.i);
  const left = more ? `, ${count(Math.abs(more))} more to ${more > 0 ? "buy" : "sell"}` : "";
  return `The auction would now trade ${count(auction.v)} shares at ${price(auction.p)}${left}.`;
}

function textSet(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function statusShow(status) {
  const strip = document.getElementById("phase-strip");
  if (!strip || status.symbol !== document.getElementById("workspace")?.dataset.symbol) return;
  const said = [PHASES[status.phase], MODES[status.mode], limitText(status)].filter(Boolean).join(" ");
  const auction = auctionText(status.auction);
  strip.hidden = !said && !auction;
  textSet(strip.querySelector("[data-phase-text]"), said);
  textSet(strip.querySelector("[data-phase-auction]"), auction);
  const now = `${status.symbol} ${status.phase}`;
  if (before !== null && before !== now) document.body.dispatchEvent(new Event("phase-changed"));
  before = now;
}

bus.addEventListener("status", ({ detail }) => statusShow(detail));
