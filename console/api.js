// The API and its key. The key lives in this tab's sessionStorage and nowhere else.

const SLOT = 'stillwatch-key';

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.status = status;
    this.errors = body.errors ?? [];
  }
}

/** A link like /#key=swk_… hands the key over; it leaves the address bar and the history at once. */
export function takeKeyFromAddress() {
  const found = /^#key=(.+)$/.exec(location.hash);
  if (!found) return;
  sessionStorage.setItem(SLOT, decodeURIComponent(found[1]));
  history.replaceState(null, '', location.pathname + location.search);
}

export const key = () => sessionStorage.getItem(SLOT);
export const keep = (value) => sessionStorage.setItem(SLOT, value);
export const forget = () => sessionStorage.removeItem(SLOT);

export async function ask(path, { method = 'GET', body, headers = {} } = {}) {
  const response = await fetch(path, {
    method,
    headers: {
      authorization: `Bearer ${key()}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: 'no-store',
    signal: AbortSignal.timeout(5_000),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

/** A fresh Idempotency-Key. */
export function once() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
