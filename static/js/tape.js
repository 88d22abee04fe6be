/** <ob-tape>: time and sales, newest first, bounded. */

import { bus } from "./bus.js";
import { exchangeTime } from "./clock.js";
import { count, price } from "./figures.js";

const ROWS = 40;
const PAINT_EVERY_MS = 100;

function lineOf(trade) {
  const item = document.createElement("li");
  const up = trade.side === "BUY";
  const [shown, size, time] = [0, 1, 2].map(() => item.appendChild(document.createElement("span")));
  shown.className = up ? "up" : "down";
  shown.innerHTML = `<span aria-hidden="true">${up ? "▲" : "▼"}</span> `;
  shown.append(price(trade.price));
  shown.title = up ? "A buyer took the offer" : "A seller took the bid";
  size.textContent = count(trade.size);
  time.textContent = exchangeTime(trade.t);
  time.title = trade.t;
  return item;
}

class Tape extends HTMLElement {
  #list = null;
  #pending = [];
  #timer = 0;
  #seen = new Set();

  connectedCallback() {
    this.symbol = this.getAttribute("symbol");
    this.innerHTML = '<h3>Time &amp; sales</h3><ul aria-label="Trades, newest first"></ul>';
    this.#list = this.querySelector("ul");
    this.onTrades = ({ detail }) => this.#take(detail);
    bus.addEventListener("trades", this.onTrades);
  }

  disconnectedCallback() {
    bus.removeEventListener("trades", this.onTrades);
    clearTimeout(this.#timer);
  }

  #take(message) {
    if (message.symbol !== this.symbol) return;
    const fresh = message.trades.filter((trade) => !this.#seen.has(trade.id));
    fresh.forEach((trade) => this.#seen.add(trade.id));
    this.#pending.push(...fresh);
    if (this.#pending.length > ROWS) this.#pending = this.#pending.slice(-ROWS);
    this.#timer ||= setTimeout(() => { this.#timer = 0; this.#paint(); }, PAINT_EVERY_MS);
  }

  #paint() {
    this.#list.prepend(...this.#pending.reverse().map(lineOf));
    this.#pending = [];
    while (this.#list.childElementCount > ROWS) this.#list.lastElementChild.remove();
    if (this.#seen.size > 20 * ROWS) this.#seen = new Set([...this.#seen].slice(-ROWS));
  }
}

customElements.define("ob-tape", Tape);
