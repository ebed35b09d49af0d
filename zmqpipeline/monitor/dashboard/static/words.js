// Figures in words, short enough for a cell.

const NONE = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const isTime = (value) => isNumber(value) && !Number.isNaN(new Date(value * 1000).getTime());

function digits(value) {
  return value >= 100 ? 0 : value >= 10 ? 1 : 2;
}

/** Three digits, without zeros at the end. */
function short(value) {
  return String(Number(value.toFixed(digits(Math.abs(value)))));
}

export function count(value) {
  return isNumber(value) ? whole.format(value) : NONE;
}

/** A number with its thousands as k and M. */
export function scaled(value) {
  if (!isNumber(value)) return NONE;
  if (value >= 1e6) return `${short(value / 1e6)}M`;
  if (value >= 1e4) return `${short(value / 1e3)}k`;
  return value >= 100 ? whole.format(value) : short(value);
}

export function rate(value) {
  return isNumber(value) ? `${scaled(value)}/s` : NONE;
}

/** Seconds that something short takes. */
export function seconds(value) {
  if (!isNumber(value)) return NONE;
  if (value === 0) return "0 s";
  if (value < 0.001) return `${short(value * 1e6)} µs`;
  if (value < 1) return `${short(value * 1e3)} ms`;
  return value < 100 ? `${short(value)} s` : duration(value);
}

/** Seconds that somebody waits. */
export function duration(value) {
  if (!isNumber(value)) return NONE;
  const all = Math.max(0, Math.round(value));
  const [days, hours] = [Math.floor(all / 86400), Math.floor(all / 3600) % 24];
  const [minutes, left] = [Math.floor(all / 60) % 60, all % 60];
  const two = (number) => String(number).padStart(2, "0");
  if (days) return `${days} d ${two(hours)} h`;
  if (hours) return `${hours} h ${two(minutes)} min`;
  return minutes ? `${minutes} min ${two(left)} s` : `${left} s`;
}

export function bytes(value) {
  if (!isNumber(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let left = value;
  while (left >= 1024 && unit < units.length - 1) {
    left /= 1024;
    unit += 1;
  }
  return `${short(left)} ${units[unit]}`;
}

export function percent(part, all) {
  return isNumber(part) && isNumber(all) && all > 0 ? `${Math.floor((part / all) * 100)} %` : NONE;
}

export function core(value) {
  return isNumber(value) ? `${Math.round(value * 100)} %` : NONE;
}

/** The time of day of a Unix time, if there is such a day. */
export function time(value) {
  return isTime(value) ? clock.format(new Date(value * 1000)) : NONE;
}

export function hourMinute(value) {
  return isTime(value) ? minute.format(new Date(value * 1000)) : NONE;
}

export function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}
