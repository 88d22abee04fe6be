/** Indicators of the chart: pictures of prices, never amounts of money. */

/** Exponential moving average of closes over `length` bars. */
export function ema(bars, length) {
  let value = bars[0]?.close;
  return bars.map((bar) => ({ time: bar.time, value: (value += ((bar.close - value) * 2) / (length + 1)) }));
}

const dayOf = (time) => Math.floor(time / 86400);

/** Volume-weighted average price, starting anew each day. */
export function vwap(bars) {
  let [amount, volume, day] = [0, 0, null];
  return bars.map((bar) => {
    if (dayOf(bar.time) !== day) [amount, volume, day] = [0, 0, dayOf(bar.time)];
    amount += bar.volume * ((bar.high + bar.low + bar.close) / 3);
    volume += bar.volume;
    return { time: bar.time, value: volume ? amount / volume : bar.close };
  });
}
