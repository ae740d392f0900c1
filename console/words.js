// Numbers, times and evidence as an operator reads them. Times are UTC: incident reports have one clock.

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export const whole = (n) => WHOLE.format(n);
export function short(n) {
  if (Math.abs(n) < 10_000) return WHOLE.format(n);
  return Math.abs(n) < 1e15 ? SHORT.format(n) : `${n < 0 ? '-' : ''}10^${Math.floor(Math.log10(Math.abs(n)))}`;
}

export function value(n) {
  if (n === null || n === undefined) return '–';
  const size = Math.abs(n);
  if (size >= 10_000) return SHORT.format(n);
  if (size >= 100 || Number.isInteger(n)) return WHOLE.format(n);
  return n.toFixed(size >= 10 ? 1 : size >= 0.01 || n === 0 ? 2 : 4);
}

export function utc(moment) {
  return `${new Date(moment).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

export function clock(ms) {
  return `${new Date(ms).toISOString().slice(11, 19)} UTC`;
}

/** 90 → "1 min 30 s", 90000 → "1 d 1 h": the two largest units. */
export function span(seconds) {
  let rest = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, size] of [['d', 86_400], ['h', 3_600], ['min', 60], ['s', 1]]) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count || parts.length) parts.push([count, unit]);
    if (parts.length === 2) break;
  }
  const words = parts.filter(([count]) => count).map(([count, unit]) => `${count} ${unit}`);
  return words.join(' ') || '0 s';
}

export function plural(n, one, many = `${one}s`) {
  return `${whole(n)} ${n === 1 ? one : many}`;
}

/** -log10 of a p-value as odds: 3 → "1 in 1,000". */
export function odds(surprise) {
  if (surprise === null || surprise === undefined) return 'no opinion yet';
  if (surprise >= 12) return 'less than 1 in 10^12';
  const one = 10 ** surprise;
  return one < 1.5 ? 'ordinary' : `1 in ${one >= 10_000 ? SHORT.format(one) : WHOLE.format(one)}`;
}

const SHARED = {
  signup: 'sign-up cohort', payment: 'payment family|payment families', address: 'address block', client: 'client fingerprint',
  invite: 'inviting account', system: 'system prompt', parameters: 'set of parameters|sets of parameters', template: 'prompt template',
};

/** ["signup=a", "signup=b", "payment=c"] → "2 sign-up cohorts, 1 payment family". The values are opaque tokens. */
export function shared(linkage) {
  const counts = {};
  for (const view of linkage.map((text) => text.split('=')[0])) counts[view] = (counts[view] ?? 0) + 1;
  return Object.entries(counts).map(([view, count]) => plural(count, ...(SHARED[view] ?? name(view)).split('|'))).join(', ');
}

export const name = (signal) => signal.replaceAll('_', ' ');
export const ACTION = {
  observe: 'observed', throttle: 'throttled', challenge: 'challenged', suspend: 'suspended', revoke: 'revoked',
};
export const BAND = {
  no_opinion: 'no opinion yet', normal: 'normal', elevated: 'elevated', high: 'high', severe: 'severe',
};
