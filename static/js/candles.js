/** The newest candle of a chart, put together from the server's own minutes or days, never from trades. */

const WEEK_DAYS = 7;
const DAY_S = 86400;
const MONDAY = 3;

export const barOf = (row) => ({
  time: row.t, open: Number(row.o), high: Number(row.h), low: Number(row.l), close: Number(row.c), volume: row.v,
});

/** What an interval is made of, `minutes` or `days`, and where a step's time falls in it; times are the exchange's wall seconds. */
export function intervalOf(name, seconds) {
  const unit = name === "1D" || name === "1W" ? "days" : "minutes";
  const bucket = (at) => {
    if (name !== "1W") return Math.floor(at / seconds) * seconds;
    const day = Math.floor(at / DAY_S);
    return (day - ((day + MONDAY) % WEEK_DAYS)) * DAY_S;
  };
  return { unit, bucket };
}

/** A candle of the stream as a bar, at the exchange's wall time. */
export function stepOf(candle, unit, offset) {
  const at = unit === "days" ? Date.parse(`${candle.date}T00:00:00Z`) / 1000 : Math.floor(Date.parse(candle.t) / 1000) + offset;
  return barOf({ ...candle, t: at });
}

/** One bar of all its steps. */
export function joined(time, steps) {
  const inOrder = [...steps].sort((one, other) => one.time - other.time);
  return {
    time,
    open: inOrder[0].open,
    high: Math.max(...inOrder.map((step) => step.high)),
    low: Math.min(...inOrder.map((step) => step.low)),
    close: inOrder.at(-1).close,
    volume: inOrder.reduce((sum, step) => sum + step.volume, 0),
  };
}

/** The bars of a chart: what was loaded, and the newest one kept by what the stream says of its steps. */
export class Candles {
  #steps = new Map();

  /** Begin with the server's bars, and the steps of the last one. */
  constructor(bars, steps, interval, keep) {
    Object.assign(this, { bars, interval, keep });
    for (const step of steps) this.#steps.set(step.time, step);
  }

  /** Take a step's newest state: "none" when it is known, "last" or "new" for the newest bar, "late" for one before it. */
  take(step) {
    const at = this.interval.bucket(step.time);
    const last = this.bars.at(-1);
    if (last && at < last.time) return "late";
    const fresh = !last || at > last.time;
    if (fresh) this.#steps.clear();
    // A candle only ever gains trades: of two states the one with less volume is the older.
    if ((this.#steps.get(step.time)?.volume ?? 0) >= step.volume) return "none";
    this.#steps.set(step.time, step);
    const bar = joined(at, this.#steps.values());
    if (fresh) {
      this.bars.push(bar);
      if (this.bars.length > this.keep) this.bars.shift();
    } else Object.assign(last, bar);
    return fresh ? "new" : "last";
  }
}
