/** The drawing behind <ob-chart>: series, colours from the page's tokens, price lines and markers. */

import {
  CandlestickSeries, createChart, createSeriesMarkers, HistogramSeries, LineSeries,
} from "../vendor/lightweight-charts-5.2.1.mjs";
import { ema, vwap } from "./indicators.js";

const phone = matchMedia("(max-width: 759.98px)");

function tokenReader(host) {
  const probe = host.appendChild(document.createElement("i"));
  const read = (name) => {
    probe.style.setProperty("color", `var(--${name})`);
    return getComputedStyle(probe).color;
  };
  return { read, end: () => probe.remove() };
}

const fade = (colour, alpha) => colour.replace(/rgba?\(([^)]+)\)/, (_, parts) => (
  `rgba(${parts.split(",").slice(0, 3).join(",")},${alpha})`));

export class ChartFrame {
  constructor(host) {
    this.host = host;
    this.bars = [];
    this.lines = [];
    this.marks = { orders: [], fills: [] };
    this.indicators = true;
    this.chart = createChart(host, { autoSize: true, layout: { attributionLogo: false } });
    const quiet = { lastValueVisible: false, priceLineVisible: false };
    this.candles = this.chart.addSeries(CandlestickSeries, { priceLineStyle: 1, priceLineWidth: 1 });
    this.volume = this.chart.addSeries(HistogramSeries, { ...quiet, priceScaleId: "volume", priceFormat: { type: "volume" } });
    this.ema = this.chart.addSeries(LineSeries, { ...quiet, lineWidth: 1.5, crosshairMarkerVisible: false });
    this.vwap = this.chart.addSeries(LineSeries, { ...quiet, lineWidth: 1.5, crosshairMarkerVisible: false });
    this.markers = createSeriesMarkers(this.candles, []);
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.85, bottom: 0 } });
    this.recolour();
  }

  recolour() {
    const { read, end } = tokenReader(this.host);
    const [up, down, line, faint] = ["up", "down", "line", "text-3"].map(read);
    this.tone = { up, down };
    this.chart.applyOptions({
      layout: { background: { color: "transparent" }, textColor: faint, fontSize: phone.matches ? 12 : 11,
        fontFamily: getComputedStyle(document.body).fontFamily },
      grid: { vertLines: { color: fade(line, 0.55) }, horzLines: { color: fade(line, 0.55) } },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: phone.matches ? 0.2 : 0.13, bottom: 0.2 } },
      timeScale: { borderColor: line, timeVisible: true, secondsVisible: false, rightOffset: phone.matches ? 3 : 6 },
      crosshair: { mode: 0, vertLine: { labelBackgroundColor: read("text-2") }, horzLine: { labelBackgroundColor: read("text-2") } },
    });
    this.candles.applyOptions({ upColor: fade(up, 0.28), borderUpColor: up, wickUpColor: up, downColor: down,
      borderDownColor: down, wickDownColor: down, priceLineColor: read("text-2") });
    this.ema.applyOptions({ color: read("accent") });
    this.vwap.applyOptions({ color: fade(read("warn"), 0.85) });
    end();
    if (this.bars.length) this.load(this.bars, false);
    this.mark(this.marks);
  }

  #volumeOf(bar) {
    return { time: bar.time, value: bar.volume, color: fade(bar.close >= bar.open ? this.tone.up : this.tone.down, 0.32) };
  }

  load(bars, fit) {
    this.bars = bars;
    this.candles.setData(bars);
    this.volume.setData(bars.map((bar) => this.#volumeOf(bar)));
    this.#indicatorsLoad();
    const shown = phone.matches ? 68 : 104;
    if (fit && bars.length) {
      this.chart.timeScale().setVisibleLogicalRange({ from: bars.length - shown, to: bars.length + (phone.matches ? 4 : 6) });
    }
  }

  #indicatorsLoad() {
    const on = this.indicators && this.bars.length > 0;
    this.ema.setData(on ? ema(this.bars, 20) : []);
    this.vwap.setData(on && this.intraday ? vwap(this.bars) : []);
  }

  indicatorsShow(on) {
    this.indicators = on;
    this.#indicatorsLoad();
  }

  /** Redraw the newest bar, which is `this.bars.at(-1)`. */
  touch() {
    const bar = this.bars.at(-1);
    this.candles.update(bar);
    this.volume.update(this.#volumeOf(bar));
    if (!this.indicators) return;
    this.ema.update(ema(this.bars, 20).at(-1));
    if (this.intraday) this.vwap.update(vwap(this.bars).at(-1));
  }

  indicatorValues() {
    if (!this.indicators || !this.bars.length) return null;
    return { ema: ema(this.bars, 20).at(-1).value, vwap: this.intraday ? vwap(this.bars).at(-1).value : null };
  }

  mark(marks) {
    this.marks = marks;
    this.lines.forEach((line) => this.candles.removePriceLine(line));
    this.lines = marks.orders.map((order) => this.candles.createPriceLine({
      price: Number(order.price), color: order.side === "BUY" ? this.tone.up : this.tone.down, lineStyle: 2, lineWidth: 1,
      axisLabelVisible: true, title: phone.matches ? "" : `${order.side === "BUY" ? "Buy" : "Sell"} ${order.quantity}${order.stop ? " stop" : ""}`,
    }));
    this.markers.setMarkers(this.#markersOf(marks.fills));
  }

  #markersOf(fills) {
    const first = this.bars[0]?.time;
    const placed = new Map();
    for (const fill of fills) {
      const bar = this.bars.findLast((one) => one.time <= fill.t);
      if (first === undefined || !bar) continue;
      const key = `${bar.time}/${fill.side}`;
      placed.set(key, { time: bar.time, side: fill.side, quantity: (placed.get(key)?.quantity ?? 0) + fill.quantity });
    }
    const sorted = [...placed.values()].sort((one, other) => one.time - other.time);
    return sorted.map(({ time, side, quantity }) => {
      const buy = side === "BUY";
      return { time, position: buy ? "belowBar" : "aboveBar", shape: buy ? "arrowUp" : "arrowDown",
        color: buy ? this.tone.up : this.tone.down, text: phone.matches ? "" : `${buy ? "Bought" : "Sold"} ${quantity}` };
    });
  }

  end() {
    this.chart.remove();
  }
}
