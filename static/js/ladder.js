/** <ob-ladder>: the book, seven levels a side, grey while it does not trade; a click on a level fills the ticket's price. */

import { Book } from "./book.js";
import { bus } from "./bus.js";
import { count, grouped, middle, price, spread } from "./figures.js";

const LEVELS = 7;
const PHONE_LEVELS = 3;
const PAINT_EVERY_MS = 100;

function cell(className) {
  const td = document.createElement("td");
  td.className = className;
  if (className.endsWith("size")) td.append(document.createElement("i"), document.createElement("span"));
  return td;
}

function levelRow(side, far) {
  const row = document.createElement("tr");
  row.className = far ? `${side} far` : side;
  row.append(
    side === "bid" ? cell("bid-size") : cell(""),
    cell("level-price"),
    side === "ask" ? cell("ask-size") : cell(""),
  );
  return row;
}

class Ladder extends HTMLElement {
  #asks = [];
  #bids = [];
  #middle = null;
  #book = new Book();
  #status = null;
  #timer = 0;
  #mine = new Set();

  connectedCallback() {
    this.symbol = this.getAttribute("symbol");
    this.#build();
    this.onDepth = ({ detail }) => this.#take(detail);
    this.onStatus = ({ detail }) => this.#statusTake(detail);
    this.onMarks = ({ detail }) => this.#marksTake(detail);
    bus.addEventListener("depth", this.onDepth);
    bus.addEventListener("status", this.onStatus);
    document.addEventListener("chart-marks", this.onMarks);
    this.addEventListener("click", (event) => this.#pick(event));
  }

  disconnectedCallback() {
    bus.removeEventListener("depth", this.onDepth);
    bus.removeEventListener("status", this.onStatus);
    document.removeEventListener("chart-marks", this.onMarks);
    clearTimeout(this.#timer);
  }

  #build() {
    const table = document.createElement("table");
    table.className = "ladder";
    table.innerHTML = '<caption class="sr">Order book</caption><thead><tr><th scope="col">Bid size</th>'
      + '<th scope="col">Price</th><th scope="col">Ask size</th></tr></thead><tbody></tbody>';
    const body = table.tBodies[0];
    for (let n = LEVELS; n > 0; n -= 1) this.#asks.unshift(body.appendChild(levelRow("ask", n > PHONE_LEVELS)));
    const row = body.appendChild(document.createElement("tr"));
    row.className = "middle";
    this.#middle = row.appendChild(document.createElement("td"));
    this.#middle.colSpan = 3;
    this.#middle.textContent = "Waiting for the book";
    for (let n = 1; n <= LEVELS; n += 1) this.#bids.push(body.appendChild(levelRow("bid", n > PHONE_LEVELS)));
    this.replaceChildren(table);
  }

  /** What does not fit is not shown: the last book that did stays until the whole book comes. */
  #take(message) {
    if (message.symbol !== this.symbol) return;
    if (!this.#book.take(message)) {
      bus.resync();
      return;
    }
    this.#timer ||= setTimeout(() => { this.#timer = 0; this.#paint(); }, PAINT_EVERY_MS);
  }

  #statusTake(status) {
    if (status.symbol !== this.symbol) return;
    this.#status = status;
    this.classList.toggle("still", status.phase !== "CONTINUOUS");
    if (this.#book.seq !== null) this.#paint();
  }

  #marksTake(marks) {
    this.#mine = new Set(marks.orders.filter((order) => !order.stop).map((order) => price(order.price)));
    if (this.#book.seq !== null) this.#paint();
  }

  #paint() {
    const { bids, asks } = this.#book;
    const shown = [...bids.slice(0, LEVELS), ...asks.slice(0, LEVELS)];
    const largest = Math.max(1, ...shown.map(([, size]) => Number(size)));
    this.#asks.forEach((row, n) => this.#rowPaint(row, asks[n], largest));
    this.#bids.forEach((row, n) => this.#rowPaint(row, bids[n], largest));
    this.#middle.textContent = this.#middleText(bids[0], asks[0]);
  }

  #middleText(bid, ask) {
    if (!bid || !ask) return bid ? "No sellers" : ask ? "No buyers" : "The book is empty";
    const gap = spread(bid[0], ask[0]);
    const auction = this.#status?.auction;
    if (!gap) return auction ? `Crossed · auction at ${price(auction.p)}` : "Crossed";
    return `Spread ${gap.price} · ${gap.points} bp · mid ${grouped(middle(bid[0], ask[0]))}`;
  }

  #rowPaint(row, level, largest) {
    const label = row.querySelector(".level-price");
    const bar = row.querySelector("i");
    const size = row.querySelector("span");
    const text = level ? price(level[0]) : "";
    if (label.firstChild?.nodeValue !== text) label.textContent = text;
    label.querySelector(".mine")?.remove();
    if (level && this.#mine.has(text)) label.insertAdjacentHTML("beforeend", '<span class="mine" title="Your order"></span>');
    size.textContent = level ? count(level[1]) : "";
    bar.style.setProperty("width", level ? `${Math.max(2, (Number(level[1]) / largest) * 100)}%` : "0");
    if (level) row.dataset.price = level[0];
    else delete row.dataset.price;
  }

  #pick(event) {
    const row = event.target.closest("tr[data-price]");
    if (row) document.dispatchEvent(new CustomEvent("ticket-price", { detail: row.dataset.price }));
  }
}

customElements.define("ob-ladder", Ladder);
