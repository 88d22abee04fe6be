/** Exchange time: the server's clock shown in New York, 24 hours. */

const time = new Intl.DateTimeFormat("en-GB", {
  timeZone: "America/New_York", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

export const exchangeTime = (instant) => time.format(new Date(instant));
